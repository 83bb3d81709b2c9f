//! HTTP at its edges: typed input, problem documents, request ids, and the way a router runs on Lambda. Only this module
//! and the functions' `main.rs` know `lambda_http`.

mod boundary;
mod client_ip;
mod cors;
mod extract;
mod lambda;
mod problem;
mod vouched;

pub(crate) use boundary::{PROBLEM_JSON, document};
pub use boundary::{RequestId, boundary};
pub use client_ip::ClientIp;
pub use cors::cors;
pub use extract::{Json, LongJson, MAX_JSON, MAX_LONG_JSON, PathId, Query, object};
pub use lambda::{Deadline, on_lambda, run, run_streaming, run_worker};
pub use problem::{Problem, ProblemFormat, problem_for};
pub(crate) use vouched::Vouched;
