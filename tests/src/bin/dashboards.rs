//! Writes the dashboards for Grafana: `make dashboards`.

fn main() {
    tests::dashboards::write();
}
