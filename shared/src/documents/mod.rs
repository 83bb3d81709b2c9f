//! Documents: what is known of each, and the only ways to their items.

pub mod filename;
pub mod metadata;
mod model;
mod repository;

pub use metadata::MetadataShape;
pub use model::{Document, ErrorCode, Failure, Metadata, Stage, StageName, Status};
pub use repository::{Created, DocumentFilter, Documents};
