use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// What every key begins with.
const PREFIX: &str = "rk_";
/// Random bytes of a key.
const RANDOM: usize = 24;
/// Bytes of its checksum.
const CHECKSUM: usize = 4;

/// The text of an API key. It is shown once and stored nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; RANDOM]);

/// Not the text of a key: mistyped, cut off, or something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotASecret;

impl Secret {
    /// A new one.
    pub fn new() -> Result<Self, Error> {
        let mut random = [0; RANDOM];
        rand::fill(&mut random).map_err(|_| Error::internal("no random bytes for a key"))?;
        Ok(Self(random))
    }

    /// Whether a bearer credential means to be a key.
    pub fn is_meant_by(credential: &str) -> bool {
        credential.starts_with(PREFIX)
    }

    /// The text, for the one who made the key.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}{}", hex::encode(self.0), hex::encode(checksum(&self.0)))
    }

    /// What is stored of it: the SHA-256 of the text, in hexadecimal.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.reveal()))
    }
}

impl FromStr for Secret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Self, NotASecret> {
        let bytes = text.strip_prefix(PREFIX).and_then(|digits| hex::decode(digits).ok()).ok_or(NotASecret)?;
        let (random, _) = bytes.split_first_chunk::<RANDOM>().ok_or(NotASecret)?;
        // With the checksum, and in one spelling only: another has another hash.
        Some(Self(*random)).filter(|secret| secret.reveal() == text).ok_or(NotASecret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn checksum(random: &[u8; RANDOM]) -> [u8; CHECKSUM] {
    let digest: [u8; 32] = Sha256::digest(random).into();
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&digest[..CHECKSUM]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_a_mistyped_one_is_not() {
        let secret = Secret::new().unwrap();
        let text = secret.reveal();
        assert_eq!(text.len(), 3 + 56);
        assert_eq!(text.parse(), Ok(secret.clone()));
        assert_ne!(Secret::new().unwrap(), secret);
        for place in 3..text.len() {
            let mut mistyped = text.clone().into_bytes();
            mistyped[place] = if mistyped[place] == b'0' { b'1' } else { b'0' };
            let mistyped = String::from_utf8(mistyped).unwrap();
            assert_eq!(mistyped.parse::<Secret>(), Err(NotASecret), "{mistyped}");
        }
        for other in ["", "rk_", "rk_00", &text[..58], &format!("{text}0"), &text.to_uppercase(), &text[3..], "rk_ü"] {
            assert_eq!(other.parse::<Secret>(), Err(NotASecret), "{other}");
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        let secret = Secret::new().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(!secret.reveal().contains(&secret.sha256()[..16]));
    }
}
