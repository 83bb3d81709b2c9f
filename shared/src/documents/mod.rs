//! Documents: what is known of each, and the only ways to their items.

mod catalogue;
mod change;
mod editions;
pub mod filename;
mod marks;
pub mod metadata;
mod model;
mod progress;
mod removal;
mod repository;
mod uploads;

pub use catalogue::{Matching, Served};
pub use change::Change;
pub use editions::Behind;
pub use metadata::MetadataShape;
pub use model::{Document, ErrorCode, Failure, Metadata, Stage, StageName, Status};
pub use progress::{Arrived, Finished, Indexed};
pub use removal::Removal;
pub use repository::{DocumentFilter, Documents};
pub use uploads::{Created, Incoming, Replaced};
