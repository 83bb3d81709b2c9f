use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::identity::{Claims, Credential, Identity};
use crate::tenancy::{KeyId, Role, TenantId, UserId};

/// What the authorizer says of a caller, as API Gateway hands it on to the functions: the `context` of its answer, and
/// `requestContext.authorizer` in their events. Flat, as API Gateway wants it, and all text, since it makes text of
/// whatever else it is given. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    tenant: TenantId,
    user: UserId,
    /// API Gateway repeats the authorizer's answer until it has forgotten it, so the credential may end before the voucher.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    expires_at: Option<OffsetDateTime>,
    /// Of an API key only.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyId>,
    /// Of a token only, as are those below.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Voucher {
    /// Whom the voucher speaks for. Nobody if the credential has ended: whether that is so, and how far the issuer's clock
    /// may be off, is for the authenticator to say. Whether a key was revoked the door knows.
    pub(crate) fn identity(self, now: OffsetDateTime) -> Option<Identity> {
        let Self { tenant, user, expires_at, key, role, email, name } = self;
        let credential = match (key, role, expires_at) {
            (_, _, Some(end)) if end <= now => return None,
            (Some(key), None, _) => Credential::Key(key),
            (None, Some(role), Some(_)) => Credential::Token(Claims { role, email, name }),
            _ => return None,
        };
        Some(Identity { tenant, user, credential, expires_at })
    }
}

impl From<Identity> for Voucher {
    fn from(Identity { tenant, user, credential, expires_at }: Identity) -> Self {
        let voucher = Self { tenant, user, expires_at, key: None, role: None, email: None, name: None };
        match credential {
            Credential::Key(key) => Self { key: Some(key), ..voucher },
            Credential::Token(Claims { role, email, name }) => Self { role: Some(role), email, name, ..voucher },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::format_description::well_known::Rfc3339;

    use super::*;

    fn at(time: &str) -> OffsetDateTime {
        OffsetDateTime::parse(time, &Rfc3339).unwrap()
    }

    fn identity(credential: Credential, expires_at: Option<OffsetDateTime>) -> Identity {
        Identity { tenant: "acme".parse().unwrap(), user: "google-oauth2|7".parse().unwrap(), credential, expires_at }
    }

    fn read(voucher: Value) -> Option<Identity> {
        serde_json::from_value::<Voucher>(voucher).ok()?.identity(at("2026-11-24T12:00:00Z"))
    }

    #[test]
    fn the_functions_read_what_the_authorizer_wrote() {
        let claims = Claims {
            role: Role::Editor,
            email: Some("zoë@example.com".to_owned()),
            name: Some("Zoë \"Z\" 🦆".to_owned()),
        };
        let bare = Claims { email: None, name: None, ..claims.clone() };
        let (token, key) = (Credential::Token, Credential::Key(KeyId::new()));
        let end = Some(at("2026-11-24T12:00:01Z"));
        for (credential, end) in [(token(claims), end), (token(bare), end), (key.clone(), end), (key, None)] {
            let known = identity(credential, end);
            let written = serde_json::to_value(Voucher::from(known.clone())).unwrap();
            assert!(written.as_object().unwrap().values().all(Value::is_string), "{written}");
            assert_eq!(read(written), Some(known));
        }
    }

    #[test]
    fn a_token_is_vouched_for_until_it_ends() {
        let voucher = |at: &str| json!({ "tenant": "acme", "user": "ada", "role": "viewer", "expires_at": at });
        assert!(read(voucher("2026-11-24T12:00:00.1Z")).is_some());
        assert!(read(voucher("2026-11-24T13:00:01+01:00")).is_some());
        assert_eq!(read(voucher("2026-11-24T12:00:00Z")), None);
        assert_eq!(read(voucher("2026-11-24T11:59:59Z")), None);
        let mut key = json!({ "tenant": "acme", "user": "ada", "key": "01J9ZQ3W6V8Y0ABCDEFGHJKMNP" });
        assert!(read(key.clone()).is_some());
        key["expires_at"] = json!("2026-11-24T12:00:00Z");
        assert_eq!(read(key), None);
    }

    #[test]
    fn what_is_malformed_or_not_whole_speaks_for_nobody() {
        let end = "2100-01-01T00:00:00Z";
        let whole = json!({ "tenant": "acme", "user": "ada", "role": "viewer", "expires_at": end });
        assert!(read(whole.clone()).is_some());
        for (member, value) in [
            ("tenant", json!("acme#globex")),
            ("tenant", json!("")),
            ("tenant", json!(1)),
            ("tenant", Value::Null),
            ("user", json!("ada}")),
            ("user", json!(["ada"])),
            ("role", json!("root")),
            ("role", json!("Owner")),
            ("role", Value::Null),
            ("expires_at", json!(4_102_444_800_u64)),
            ("expires_at", json!("never")),
            ("expires_at", Value::Null),
            ("key", json!("01J9ZQ3W6V8Y0ABCDEFGHJKMNP")),
            ("key", json!("rk_secret")),
            ("email", json!({ "at": "home" })),
        ] {
            let mut broken = whole.clone();
            broken[member] = value;
            assert_eq!(read(broken.clone()), None, "{broken}");
        }
        for member in ["tenant", "user", "role", "expires_at"] {
            let mut lacking = whole.clone();
            lacking.as_object_mut().unwrap().remove(member);
            assert_eq!(read(lacking), None, "without {member}");
        }
    }
}
