//! API keys: long-lived credentials that a user makes, with no more rights than that user has at any time.
//!
//! A key is `rk_` and 56 hexadecimal digits: 192 random bits, and the first 32 bits of their SHA-256 as a checksum, so that
//! typing errors and secret scanners need no database. Only the SHA-256 of the whole text is stored: of so many random
//! bits it tells nothing, so no slow hash is needed.

mod ring;
mod secret;
mod store;

pub use ring::KeyRing;
pub use secret::Secret;
pub(crate) use store::from_item;
pub use store::{ApiKey, Keys, MAX_KEYS};
