//! What a client can ask for.

pub(crate) mod ai_sdk;
pub(crate) mod conversations;
pub(crate) mod native;
pub(crate) mod openai;
pub(crate) mod resume;
