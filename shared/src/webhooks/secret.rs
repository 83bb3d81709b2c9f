use std::fmt;
use std::str::FromStr;

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;
use crate::signing::{Purpose, Sealer, Signer};
use crate::tables::Key;
use crate::tenancy::{RegistrationId, TenantId, WebhookId};

/// What every secret begins with.
const PREFIX: &str = "whsec_";
/// The bytes of one that is made here.
const MADE: usize = 32;

/// What the messages to a webhook are signed with, after [Standard Webhooks](https://www.standardwebhooks.com): 24 to 64
/// bytes, written as `whsec_` and their base64.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

/// Not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be whsec_ and the base64 of 24 to 64 bytes")]
pub struct InvalidSecret;

impl WebhookSecret {
    /// A new one.
    pub fn new() -> Result<Self, Error> {
        let mut random = vec![0; MADE];
        rand::fill(&mut random).map_err(|_| Error::internal("no random bytes for a secret"))?;
        Ok(Self(random))
    }

    /// The text, for the one who set it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The signature of a message, with the version of its scheme in front; the timestamp is in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl FromStr for WebhookSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let bytes = text.strip_prefix(PREFIX).and_then(|base64| STANDARD.decode(base64).ok());
        bytes.filter(|bytes| (24..=64).contains(&bytes.len())).map(Self).ok_or(InvalidSecret)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// Seals the secrets of webhooks for the database, each for its place.
#[derive(Debug, Clone)]
pub struct Secrets(Sealer);

impl Secrets {
    /// Seals with the deployment's own secret.
    pub fn new(signer: &Signer) -> Self {
        Self(signer.sealer(Purpose::WebhookSecret))
    }

    /// The secret as it is stored.
    pub(super) fn seal(
        &self,
        secret: &WebhookSecret,
        tenant: &TenantId,
        id: &WebhookId,
        registration: RegistrationId,
    ) -> Result<String, Error> {
        Ok(STANDARD.encode(self.0.seal(secret.0.clone(), &place(tenant, id, registration))?))
    }

    /// The secret that was stored; `None` if the deployment's secret that it was sealed with is gone.
    pub(super) fn open(
        &self,
        sealed: &str,
        tenant: &TenantId,
        id: &WebhookId,
        registration: RegistrationId,
    ) -> Option<WebhookSecret> {
        let sealed = STANDARD.decode(sealed).ok()?;
        self.0.open(&sealed, &place(tenant, id, registration)).map(WebhookSecret)
    }

    /// The same secret sealed anew, if it was sealed with an older secret of the deployment, which will be gone one day.
    pub(super) fn renewed(
        &self,
        sealed: &str,
        tenant: &TenantId,
        id: &WebhookId,
        registration: RegistrationId,
    ) -> Result<Option<String>, Error> {
        let bytes = STANDARD.decode(sealed).map_err(Error::internal)?;
        if self.0.is_current(&bytes, &place(tenant, id, registration)) {
            return Ok(None);
        }
        let opened = self.open(sealed, tenant, id, registration);
        opened.map(|secret| self.seal(&secret, tenant, id, registration)).transpose()
    }
}

fn place(tenant: &TenantId, id: &WebhookId, registration: RegistrationId) -> String {
    let Key { pk, sk } = Key::webhook(tenant, id);
    format!("{pk} {sk} {registration}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_libraries_of_standard_webhooks_sign_it() {
        let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_read_back_and_must_have_24_to_64_bytes() {
        let secret = WebhookSecret::new().unwrap();
        assert_eq!(secret.reveal().parse(), Ok(secret.clone()));
        assert_ne!(WebhookSecret::new().unwrap(), secret);
        let of = |length| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        for right in [24, 64] {
            assert_eq!(of(right).parse::<WebhookSecret>().unwrap().reveal(), of(right));
        }
        let base64 = of(24)[6..].to_owned();
        for wrong in ["", "whsec_", "rotate", "whsec_!!", &of(23), &of(65), &base64, &format!("WHSEC_{base64}")] {
            assert_eq!(wrong.parse::<WebhookSecret>(), Err(InvalidSecret), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", WebhookSecret::new().unwrap()), "WebhookSecret(…)");
    }
}
