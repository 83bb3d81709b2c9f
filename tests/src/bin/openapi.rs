//! Writes the description of the API: `make openapi`.

fn main() {
    tests::description::write();
}
