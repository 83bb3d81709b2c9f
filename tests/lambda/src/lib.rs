//! Lambda and API Gateway in small: runs built functions as on AWS, in processes that start when they are needed, take one event
//! at a time, are frozen between two, and end. What is measured and tested here is what only that shows.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

mod answer;
pub mod cold;
mod environment;
pub mod freeze;
mod function;
mod gateway;
mod installation;
mod invoke_error;
mod names;
mod process;
mod runtime_api;

pub use answer::{Answer, Streamed, Torn, Whole};
pub use environment::{Environment, Program};
pub use function::{Function, Keeping};
pub use gateway::Gateway;
pub use installation::{Installation, beside_this_program};
pub use invoke_error::{Failure, InvokeError};
pub use process::{Usage, is_stopped};
