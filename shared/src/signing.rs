//! What the deployment vouches for with its own secret: cursors, addresses of originals, the answers it keeps for
//! requests that are repeated, and the secrets of webhooks.
//!
//! Each purpose has a key of its own, so that what was signed for one never passes for another. Of several secrets the
//! first signs and seals, and all verify and open: a secret can be replaced while what it signed is still about.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{constant_time, hmac};

use crate::config::{SigningConfig, SigningSecret};
use crate::error::Error;

/// The length of a signature and of a key, in bytes.
const LENGTH: usize = 32;

/// A signature.
pub type Signature = [u8; LENGTH];

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Where the next page of a list begins.
    Cursor,
    /// The address of an original.
    ContentUrl,
    /// The address that the bytes of a document are put at.
    UploadUrl,
    /// What a request with an `Idempotency-Key` asked for.
    IdempotencyFingerprint,
    /// What it was answered.
    IdempotencyAnswer,
    /// What a webhook's messages are signed with.
    WebhookSecret,
}

impl Purpose {
    /// The text that its key is derived from. What was signed is worthless once it changes.
    fn label(self) -> &'static str {
        match self {
            Self::Cursor => "ragline cursor 1",
            Self::ContentUrl => "ragline content url 1",
            Self::UploadUrl => "ragline upload url 1",
            Self::IdempotencyFingerprint => "ragline idempotency fingerprint 1",
            Self::IdempotencyAnswer => "ragline idempotency answer 1",
            Self::WebhookSecret => "ragline webhook secret 1",
        }
    }
}

/// One key for each secret.
struct Keys<K> {
    newest: K,
    older: Vec<K>,
}

impl<K> Keys<K> {
    fn iter(&self) -> impl Iterator<Item = &K> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    fn map<L>(&self, derive: impl Fn(&K) -> L) -> Keys<L> {
        Keys { newest: derive(&self.newest), older: self.older.iter().map(derive).collect() }
    }
}

/// Signs and seals with the deployment's secrets. Clones share them.
#[derive(Clone)]
pub struct Signer(Arc<Keys<hmac::Key>>);

impl Signer {
    /// A signer with these secrets.
    pub fn new(config: &SigningConfig) -> Self {
        let key = |secret: &SigningSecret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self(Arc::new(Keys { newest: key(&config.newest), older: config.older.iter().map(key).collect() }))
    }

    /// Signs for a purpose.
    pub fn mac(&self, purpose: Purpose) -> Mac {
        Mac(Arc::new(self.keys(purpose).map(|key| hmac::Key::new(hmac::HMAC_SHA256, key))))
    }

    /// Seals for a purpose.
    pub fn sealer(&self, purpose: Purpose) -> Sealer {
        Sealer(Arc::new(self.keys(purpose)))
    }

    /// The keys of a purpose, derived as HKDF expands (RFC 5869): the HMAC of its label.
    fn keys(&self, purpose: Purpose) -> Keys<[u8; LENGTH]> {
        self.0.map(|secret| bytes(&hmac::sign(secret, purpose.label().as_bytes())))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

/// Signs for one purpose: HMAC-SHA256 (RFC 2104).
#[derive(Clone)]
pub struct Mac(Arc<Keys<hmac::Key>>);

impl Mac {
    /// The signature of these parts in this order. Which byte belongs to which part is signed, too.
    pub fn sign(&self, parts: &[&[u8]]) -> Signature {
        sign(&self.0.newest, parts)
    }

    /// Whether the signature is of these parts. Takes as long for one that is almost right as for any other.
    pub fn verify(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.0.iter().any(|key| constant_time::verify_slices_are_equal(&sign(key, parts), signature).is_ok())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

/// Encrypts and signs for one purpose: AES-256-GCM (RFC 5116) with a random nonce in front. One secret is good for 2^32
/// of them (NIST SP 800-38D, 8.3).
#[derive(Clone)]
pub struct Sealer(Arc<Keys<[u8; LENGTH]>>);

impl Sealer {
    /// The text, sealed. It opens only with the same `place`, which says where it is kept.
    pub fn seal(&self, mut text: Vec<u8>, place: &str) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::internal("a text could not be sealed");
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.0.newest).map_err(failed)?;
        let nonce = key.seal_in_place_append_tag(Aad::from(place), &mut text).map_err(failed)?;
        Ok([nonce.as_ref().as_slice(), &text].concat())
    }

    /// Whether it opens with the newest secret, so that the others may go.
    pub fn is_current(&self, sealed: &[u8], place: &str) -> bool {
        Self::open_with(&self.0.newest, sealed, place).is_some()
    }

    /// The text in what was sealed; `None` if it was altered, moved, or sealed with a secret that is gone.
    pub fn open(&self, sealed: &[u8], place: &str) -> Option<Vec<u8>> {
        self.0.iter().find_map(|key| Self::open_with(key, sealed, place))
    }

    fn open_with(key: &[u8; LENGTH], sealed: &[u8], place: &str) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
        let mut text = sealed.to_vec();
        let length = key.open_in_place(Nonce::from(nonce), Aad::from(place), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

fn sign(key: &hmac::Key, parts: &[&[u8]]) -> Signature {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    bytes(&context.sign())
}

fn bytes(tag: &hmac::Tag) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Variables;

    const OLD: &str = "an old secret of more than thirty-two bytes";
    const NEW: &str = "a new secret of more than thirty-two bytes";

    fn signer(secrets: &str) -> Signer {
        Signer::new(&SigningConfig::from_variables(&Variables::from_pairs([("SIGNING_SECRET", secrets)])).unwrap())
    }

    #[test]
    fn a_signature_holds_for_its_parts_its_purpose_and_its_secret_only() {
        let mac = signer(OLD).mac(Purpose::Cursor);
        let signature = mac.sign(&[b"ab", b"c"]);
        assert!(mac.verify(&[b"ab", b"c"], &signature));
        for parts in [&[b"a".as_slice(), b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[b"c", b"ab"]] {
            assert!(!mac.verify(parts, &signature), "{parts:?}");
        }
        for bit in 0..256 {
            let mut altered = signature;
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(!mac.verify(&[b"ab", b"c"], &altered), "bit {bit}");
        }
        assert!(!mac.verify(&[b"ab", b"c"], &signature[..31]) && !mac.verify(&[b"ab", b"c"], b""));
        assert!(!signer(OLD).mac(Purpose::ContentUrl).verify(&[b"ab", b"c"], &signature));
        assert!(!signer(NEW).mac(Purpose::Cursor).verify(&[b"ab", b"c"], &signature));
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_and_unaltered_only() {
        let sealer = signer(OLD).sealer(Purpose::IdempotencyAnswer);
        let sealed = sealer.seal(b"the key is rk_1".to_vec(), "T#acme").unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("rk_1"));
        assert_eq!(sealer.open(&sealed, "T#acme").unwrap(), b"the key is rk_1");
        assert_eq!(sealer.open(&sealed, "T#other"), None);
        for byte in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[byte] ^= 1;
            assert_eq!(sealer.open(&altered, "T#acme"), None, "byte {byte}");
            assert_eq!(sealer.open(&sealed[..byte], "T#acme"), None, "{byte} bytes");
        }
        assert_ne!(sealer.seal(b"the key is rk_1".to_vec(), "T#acme").unwrap(), sealed, "never the same nonce");
        let other = signer(OLD).sealer(Purpose::IdempotencyFingerprint);
        assert_eq!(other.open(&sealed, "T#acme"), None);
    }

    #[test]
    fn a_secret_is_replaced_without_refusing_what_it_signed() {
        let (old, both, new) = (signer(OLD), signer(&format!("{NEW},{OLD}")), signer(NEW));
        let signed = old.mac(Purpose::Cursor).sign(&[b"x"]);
        assert!(both.mac(Purpose::Cursor).verify(&[b"x"], &signed));
        assert!(!new.mac(Purpose::Cursor).verify(&[b"x"], &signed));
        assert_eq!(both.mac(Purpose::Cursor).sign(&[b"x"]), new.mac(Purpose::Cursor).sign(&[b"x"]));

        let sealed = old.sealer(Purpose::IdempotencyAnswer).seal(b"x".to_vec(), "").unwrap();
        assert_eq!(both.sealer(Purpose::IdempotencyAnswer).open(&sealed, "").unwrap(), b"x");
        assert!(!both.sealer(Purpose::IdempotencyAnswer).is_current(&sealed, ""));
        assert!(old.sealer(Purpose::IdempotencyAnswer).is_current(&sealed, ""));
        assert_eq!(new.sealer(Purpose::IdempotencyAnswer).open(&sealed, ""), None);
    }

    #[test]
    fn no_secret_is_printed() {
        let signer = signer(OLD);
        let printed = format!("{signer:?} {:?} {:?}", signer.mac(Purpose::Cursor), signer.sealer(Purpose::Cursor));
        assert_eq!(printed, "Signer(…) Mac(…) Sealer(…)");
    }
}
