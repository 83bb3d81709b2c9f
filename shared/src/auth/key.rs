use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The most keys of one issuer. Real sets have two to ten.
const MAX_KEYS: usize = 64;
/// The shortest and the longest RSA key, in bits (RFC 7518, section 3.3; beyond that a signature costs too much).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// The length of a coordinate on P-256, in bytes.
const COORDINATE: usize = 32;
/// The most signatures of a key that are remembered; when there are more, all are forgotten.
const MAX_REMEMBERED: usize = 4_096;

/// How a token may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The algorithm with a name of RFC 7518, RFC 8037 or RFC 9864.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A public key of the issuer. Its kind decides the algorithm, never a token: else a public key could be taken for a
/// shared secret.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    public: ParsedPublicKey,
    held: Signatures,
}

impl Key {
    /// Whether the holder of the private key signed `message`. What held once is remembered: to verify a signature takes a
    /// good part of a cached answer's time, and callers come with the same token again and again. Nothing else about a token is:
    /// when it ends, and whether its key is still published, is looked at each time.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let digest = Signatures::digest(message, signature);
        if self.held.contain(&digest) {
            return true;
        }
        let verifies = self.public.verify_sig(message, signature).is_ok();
        if verifies {
            self.held.insert(digest);
        }
        verifies
    }

    /// The key in an entry of a set, if it is one that tokens may be verified with.
    fn from_entry(entry: &Value) -> Option<Self> {
        let jwk = Jwk::deserialize(entry).ok()?;
        let (algorithm, public) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => (Algorithm::Rs256, rsa(&decode(&jwk.n)?, &decode(&jwk.e)?)?),
            ("EC", Some("P-256")) => (Algorithm::Es256, p256(&decode(&jwk.x)?, &decode(&jwk.y)?)?),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDsa, ParsedPublicKey::new(&ED25519, decode(&jwk.x)?).ok()?),
            _ => return None,
        };
        let signs = jwk.public_use.is_none_or(|public_use| public_use == "sig")
            && jwk.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
            && jwk.alg.is_none_or(|name| Algorithm::from_name(&name) == Some(algorithm));
        signs.then_some(Self { id: jwk.kid, algorithm, public, held: Signatures::default() })
    }
}

/// Signatures that a key was seen to verify, by the hash of each with what it signs.
#[derive(Default)]
struct Signatures(Mutex<HashSet<[u8; 32]>>);

impl Signatures {
    fn digest(message: &[u8], signature: &[u8]) -> [u8; 32] {
        // With its length in front, so that no other message and signature are the same bytes put together.
        let length = (message.len() as u64).to_le_bytes();
        Sha256::new_with_prefix(length).chain_update(message).chain_update(signature).finalize().into()
    }

    fn contain(&self, digest: &[u8; 32]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    fn insert(&self, digest: [u8; 32]) {
        let mut digests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if digests.len() >= MAX_REMEMBERED {
            digests.clear();
        }
        digests.insert(digest);
    }
}

impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signatures")
    }
}

/// The keys of an issuer that tokens may be verified with.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Arc<Key>>);

impl Keys {
    /// The usable keys of a JSON Web Key Set (RFC 7517), or why there are none. Each key is taken by itself: one that is
    /// malformed or of an unknown kind leaves the others as they are.
    pub(super) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys: entries } = serde_json::from_slice(body).map_err(|_| "the answer is not a JWK set")?;
        let keys: Vec<_> = entries.iter().filter_map(Key::from_entry).take(MAX_KEYS).map(Arc::new).collect();
        tracing::debug!(usable = keys.len(), published = entries.len(), "the issuer's keys");
        if keys.is_empty() { Err("the JWK set has no usable key") } else { Ok(Self(keys)) }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key has this id.
    pub(super) fn know(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// The key with this id that fits the algorithm; without an id, the only key there is. If several share id and
    /// algorithm, it is the first.
    pub(super) fn choose(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let key = match (id, self.0.as_slice()) {
            (Some(_), keys) => keys.iter().find(|key| key.id.as_deref() == id && key.algorithm == algorithm),
            (None, [only]) => Some(only).filter(|key| key.algorithm == algorithm),
            (None, _) => None,
        };
        key.cloned()
    }
}

/// An entry of a set. What else it may hold, such as certificates, is not needed.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use")]
    public_use: Option<String>,
    alg: Option<String>,
    key_ops: Option<Vec<String>>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<ParsedPublicKey> {
    let (n, e) = (significant(modulus)?, significant(exponent)?);
    let bits = n.len() * 8 - n[0].leading_zeros() as usize;
    // The library looks at the exponent only when it verifies; with 1, everybody can sign.
    let sound = RSA_BITS.contains(&bits) && e.len() <= 4 && e != [1];
    let key = RsaPublicKeyComponents { n, e };
    sound.then(|| key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok())?
}

/// A number without the zeros before it: some issuers write the sign byte of ASN.1.
fn significant(number: &[u8]) -> Option<&[u8]> {
    number.iter().position(|&byte| byte != 0).map(|start| &number[start..])
}

fn p256(x: &[u8], y: &[u8]) -> Option<ParsedPublicKey> {
    // Uncompressed, as in SEC 1, section 2.3.3.
    let point = [&[4], x, y].concat();
    let whole = x.len() == COORDINATE && y.len() == COORDINATE;
    whole.then(|| ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // The examples of RFC 7515, appendices A.2 and A.3, and of RFC 8037, appendix A.
    const RSA_MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    const RSA_MESSAGE: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const RSA_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    const EC_MESSAGE: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const EC_SIGNATURE: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const ED_MESSAGE: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    const ED_SIGNATURE: &str = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn rsa_key() -> Value {
        json!({ "kty": "RSA", "n": RSA_MODULUS, "e": "AQAB" })
    }

    fn ec_key() -> Value {
        json!({ "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y })
    }

    fn ed_key() -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": ED_X })
    }

    fn with(mut key: Value, members: &[(&str, Value)]) -> Value {
        for (name, value) in members {
            key[*name] = value.clone();
        }
        key
    }

    fn set(keys: &[Value]) -> Result<Keys, &'static str> {
        Keys::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn the_examples_of_the_standards_hold_and_no_others() {
        let examples = [
            (rsa_key(), Algorithm::Rs256, RSA_MESSAGE, RSA_SIGNATURE),
            (ec_key(), Algorithm::Es256, EC_MESSAGE, EC_SIGNATURE),
            (ed_key(), Algorithm::EdDsa, ED_MESSAGE, ED_SIGNATURE),
        ];
        for (key, algorithm, message, signature) in &examples {
            let key = set(std::slice::from_ref(key)).unwrap().choose(None, *algorithm).unwrap();
            let signature = decode(signature).unwrap();
            for _ in 0..2 {
                assert!(key.verifies(message.as_bytes(), &signature), "{algorithm:?}");
            }
            assert_eq!(key.held.0.lock().unwrap().len(), 1, "{algorithm:?}");
            assert!(!key.verifies(b"another message", &signature), "{algorithm:?}");
            assert!(!key.verifies(message.as_bytes(), &[]), "{algorithm:?}");
            for bit in 0..8 {
                let mut flipped = signature.clone();
                flipped[0] ^= 1 << bit;
                assert!(!key.verifies(message.as_bytes(), &flipped), "{algorithm:?}");
            }
            assert_eq!(key.held.0.lock().unwrap().len(), 1, "what does not hold is not remembered");
        }
    }

    #[test]
    fn signatures_are_remembered_for_what_they_sign_and_not_without_end() {
        assert_ne!(Signatures::digest(b"message", b"signature"), Signatures::digest(b"messages", b"ignature"));
        let held = Signatures::default();
        for number in 0..=MAX_REMEMBERED as u64 {
            held.insert(Signatures::digest(&number.to_le_bytes(), b"signature"));
        }
        assert!(held.contain(&Signatures::digest(&(MAX_REMEMBERED as u64).to_le_bytes(), b"signature")));
        assert!(held.0.lock().unwrap().len() <= MAX_REMEMBERED);
    }

    #[test]
    fn a_key_that_is_for_something_else_or_broken_is_not_used() {
        let bits = |bits: usize| {
            let mut modulus = vec![0xff; bits.div_ceil(8)];
            modulus[0] >>= modulus.len() * 8 - bits;
            URL_SAFE_NO_PAD.encode(modulus)
        };
        let refused = [
            with(rsa_key(), &[("use", json!("enc"))]),
            with(rsa_key(), &[("alg", json!("RSA-OAEP"))]),
            with(rsa_key(), &[("alg", json!("RS512"))]),
            with(rsa_key(), &[("alg", json!("HS256"))]),
            with(ec_key(), &[("alg", json!("ECDH-ES"))]),
            with(ed_key(), &[("alg", json!("RS256"))]),
            with(ed_key(), &[("key_ops", json!(["sign", "deriveKey"]))]),
            with(ed_key(), &[("key_ops", json!([]))]),
            with(ed_key(), &[("use", json!(["sig"]))]),
            with(ed_key(), &[("kid", json!(7))]),
            with(rsa_key(), &[("n", json!(bits(1_024)))]),
            with(rsa_key(), &[("n", json!(bits(2_047)))]),
            with(rsa_key(), &[("n", json!(bits(16_384)))]),
            with(rsa_key(), &[("n", json!("AAAA"))]),
            with(rsa_key(), &[("n", json!(""))]),
            with(rsa_key(), &[("e", json!("AQ"))]),
            with(rsa_key(), &[("e", json!("AAAB"))]),
            with(rsa_key(), &[("e", json!(RSA_MODULUS))]),
            with(rsa_key(), &[("e", json!(""))]),
            with(ec_key(), &[("crv", json!("P-384"))]),
            with(ec_key(), &[("crv", json!("secp256k1"))]),
            with(ec_key(), &[("y", json!(EC_X))]),
            with(ec_key(), &[("x", json!(format!("AA{EC_X}")))]),
            with(ed_key(), &[("crv", json!("X25519"))]),
            with(ed_key(), &[("x", json!("c2hvcnQ"))]),
            with(ed_key(), &[("x", json!(format!("{ED_X}=")))]),
            json!({ "kty": "oct", "k": "c2VjcmV0" }),
            json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA" }),
            json!({ "crv": "Ed25519", "x": ED_X }),
            json!("a key"),
            json!(null),
        ];
        for key in &refused {
            assert_eq!(set(std::slice::from_ref(key)).err(), Some("the JWK set has no usable key"), "{key}");
        }
        let mut among_others = refused.to_vec();
        among_others.insert(3, with(ed_key(), &[("kid", json!("good"))]));
        let keys = set(&among_others).unwrap();
        assert!(keys.choose(Some("good"), Algorithm::EdDsa).is_some(), "the others leave it as it is");
        assert!(keys.choose(None, Algorithm::EdDsa).is_some(), "it is the only one that can be used");
    }

    #[test]
    fn a_key_that_says_what_it_is_for_is_used() {
        let used = [
            with(rsa_key(), &[("use", json!("sig")), ("alg", json!("RS256")), ("x5c", json!(["…"]))]),
            with(rsa_key(), &[("n", json!(format!("AA{}", URL_SAFE_NO_PAD.encode([0xff; 256]))))]),
            with(rsa_key(), &[("n", json!(URL_SAFE_NO_PAD.encode([0xff; 256])))]),
            with(ec_key(), &[("alg", json!("ES256")), ("key_ops", json!(["verify"]))]),
            with(ed_key(), &[("alg", json!("Ed25519")), ("use", json!(null))]),
            with(ed_key(), &[("alg", json!("EdDSA")), ("key_ops", json!(["sign", "verify"]))]),
        ];
        for key in used {
            assert!(set(std::slice::from_ref(&key)).is_ok(), "{key}");
        }
    }

    #[test]
    fn the_key_is_chosen_by_id_and_by_what_fits_the_algorithm() {
        let named = |key: Value, id: &str| with(key, &[("kid", json!(id))]);
        let keys = set(&[named(rsa_key(), "a"), named(ec_key(), "a"), named(ed_key(), "b")]).unwrap();
        let kind = |id, algorithm| keys.choose(id, algorithm).map(|key| key.algorithm);
        assert_eq!(kind(Some("a"), Algorithm::Rs256), Some(Algorithm::Rs256));
        assert_eq!(kind(Some("a"), Algorithm::Es256), Some(Algorithm::Es256), "of two with one id, what fits");
        assert_eq!(kind(Some("a"), Algorithm::EdDsa), None);
        assert_eq!(kind(Some("c"), Algorithm::EdDsa), None);
        assert_eq!(
            kind(None, Algorithm::EdDsa),
            None,
            "without an id it must be the only key, not the only one to fit"
        );
        let only = set(&[named(ed_key(), "b")]).unwrap();
        assert!(only.choose(None, Algorithm::EdDsa).is_some());
        assert!(only.choose(None, Algorithm::Rs256).is_none());
        assert!(only.choose(Some(""), Algorithm::EdDsa).is_none());
    }

    #[test]
    fn a_set_is_bounded_and_nothing_else_is_a_set() {
        let many: Vec<_> =
            (0..MAX_KEYS + 10).map(|number| with(ed_key(), &[("kid", json!(number.to_string()))])).collect();
        assert_eq!(set(&many).unwrap().0.len(), MAX_KEYS);
        for body in ["", "[]", "{}", "null", "<html>", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"error":"busy"}"#] {
            assert_eq!(Keys::parse(body.as_bytes()).err(), Some("the answer is not a JWK set"), "{body}");
        }
        assert_eq!(set(&[]).err(), Some("the JWK set has no usable key"));
    }
}
