//! What a client can ask for.

pub(crate) mod conversations;
pub(crate) mod native;
