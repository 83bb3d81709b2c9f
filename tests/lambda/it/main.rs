//! What runs functions as Lambda does, and the functions run by it.

#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod functions;
mod gateway;
mod lifecycle;
