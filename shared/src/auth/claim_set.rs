use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::identity::{Claims, Credential, Identity};
use crate::config::AuthConfig;
use crate::tenancy::{Role, TenantId};

/// How far the issuer's clock may be off, in seconds.
const CLOCK_SKEW: i64 = 30;
/// The last second of the year 9999. What is beyond is a mistake, not a time.
const LAST_SECOND: i64 = 253_402_300_799;

/// What a token claims (RFC 7519), read as the configuration says.
pub(super) struct ClaimSet<'a> {
    claims: &'a Map<String, Value>,
    config: &'a AuthConfig,
}

impl<'a> ClaimSet<'a> {
    pub(super) fn new(claims: &'a Map<String, Value>, config: &'a AuthConfig) -> Self {
        Self { claims, config }
    }

    /// Refuses claims of another issuer, for somebody else, or for another time; the reason is for the log.
    ///
    /// `iat` has no say: it tells when a token was made, which may be read off a clock that is wrong, and `nbf` tells from
    /// when it is good.
    pub(super) fn check(&self, now: OffsetDateTime) -> Result<(), &'static str> {
        if self.find("iss").and_then(Value::as_str) != Some(&self.config.issuer) {
            return Err("the token is of another issuer");
        }
        if !self.is_for_us() {
            return Err("the token is for another audience");
        }
        let now = now.unix_timestamp();
        let expires = self.time("exp")?.ok_or("the token does not expire")?;
        if now >= expires + CLOCK_SKEW {
            return Err("the token has expired");
        }
        if self.time("nbf")?.is_some_and(|begins| now < begins - CLOCK_SKEW) {
            return Err("the token is not good yet");
        }
        Ok(())
    }

    /// Whom the claims speak for; what is missing is for the log.
    pub(super) fn identity(&self) -> Result<Identity, &'static str> {
        let text = |name: &str| self.find(name).and_then(Value::as_str);
        let tenant: Option<TenantId> = text(&self.config.tenant_claim).and_then(|claim| claim.parse().ok());
        let tenant = tenant.ok_or("the token names no valid tenant")?;
        let user = text("sub").and_then(|subject| subject.parse().ok());
        Ok(Identity {
            user: user.ok_or("the token's subject is not a valid user")?,
            credential: Credential::Token(Claims {
                role: self.role(&tenant)?,
                email: text(&self.config.email_claim).filter(|_| !self.is_email_doubted()).map(str::to_owned),
                name: text("name").map(str::to_owned),
            }),
            expires_at: self.time("exp")?.and_then(|end| OffsetDateTime::from_unix_timestamp(end).ok()),
            tenant,
        })
    }

    /// The role. Text is what the issuer says of this user and of Ragline: a word that is no role may well mean less than
    /// the lowest one, so it is refused. A list says what the user is everywhere: other words in it are no business of ours,
    /// and without one of ours the user is who they would be without the claim.
    fn role(&self, tenant: &TenantId) -> Result<Role, &'static str> {
        let role = |word: &str| {
            let role: Role = word.strip_prefix(&self.config.role_prefix)?.parse().ok()?;
            let granted = role != Role::Operator || self.config.operator_tenant.as_ref() == Some(tenant);
            granted.then_some(role)
        };
        match self.find(&self.config.role_claim) {
            None => Ok(Role::Viewer),
            Some(Value::String(word)) => role(word).ok_or("the token's role is not one that its tenant has"),
            Some(Value::Array(words)) => {
                let roles = words.iter().filter_map(Value::as_str).filter_map(role);
                Ok(roles.max().unwrap_or(Role::Viewer))
            }
            Some(_) => Err("the token's role is neither text nor a list"),
        }
    }

    fn is_for_us(&self) -> bool {
        let ours =
            |value: &Value| value.as_str().is_some_and(|text| self.config.audiences.iter().any(|our| our == text));
        match self.find(&self.config.audience_claim) {
            Some(Value::Array(audiences)) => audiences.iter().any(ours),
            Some(audience) => ours(audience),
            None => false,
        }
    }

    /// Whether the issuer says that nobody checked the address: in `email_verified`, or in the claim that stands beside it.
    /// Some issuers write it as text.
    fn is_email_doubted(&self) -> bool {
        let beside = format!("{}_verified", self.config.email_claim);
        [beside.as_str(), "email_verified"]
            .into_iter()
            .filter_map(|name| self.find(name))
            .any(|value| !(value == &Value::Bool(true) || value == "true"))
    }

    /// A time in seconds since 1970. Fractions, which RFC 7519 allows, are refused: no known issuer writes them.
    fn time(&self, name: &str) -> Result<Option<i64>, &'static str> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let seconds = value.as_i64().filter(|seconds| (0..=LAST_SECOND).contains(seconds));
        seconds.map(Some).ok_or("a time in the token is not in whole seconds since 1970")
    }

    fn find(&self, name: &str) -> Option<&'a Value> {
        find(self.claims, name).filter(|value| !value.is_null())
    }
}

/// The claim with this name; if there is none, each dot in the name may lead into a nested claim, the last one first, so
/// that a name may hold dots at any depth.
fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let nested = |(dot, _)| find(claims.get(&name[..dot])?.as_object()?, &name[dot + 1..]);
    claims.get(name).or_else(|| name.rmatch_indices('.').find_map(nested))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Variables;

    const NOW: i64 = 1_800_000_000;

    fn config(further: &[(&str, &str)]) -> AuthConfig {
        let usual = [("JWT_ISSUER", "https://issuer.example/"), ("JWT_AUDIENCE", "ragline")];
        let further = Variables::from_pairs(further.iter().copied());
        AuthConfig::from_variables(&further.or(&Variables::from_pairs(usual))).unwrap()
    }

    /// Good claims with others put in their place; `null` takes one out.
    fn claims(changes: &Value) -> Map<String, Value> {
        let mut claims = json!({
            "iss": "https://issuer.example/", "aud": "ragline", "sub": "ada", "exp": NOW + 60, "tenant": "acme",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object().unwrap().clone()
    }

    fn check(config: &AuthConfig, changes: &Value) -> Result<(), &'static str> {
        ClaimSet::new(&claims(changes), config).check(OffsetDateTime::from_unix_timestamp(NOW).unwrap())
    }

    fn identity(config: &AuthConfig, changes: &Value) -> Result<(Identity, Claims), &'static str> {
        let identity = ClaimSet::new(&claims(changes), config).identity()?;
        match identity.credential.clone() {
            Credential::Token(claims) => Ok((identity, claims)),
            Credential::Key(_) => Err("a key"),
        }
    }

    #[test]
    fn issuer_and_audience_are_compared_to_the_letter() {
        let config = config(&[]);
        assert_eq!(check(&config, &json!({})), Ok(()));
        for issuer in [
            json!(null),
            json!(""),
            json!("https://issuer.example"),
            json!("https://issuer.example/ "),
            json!("https://ISSUER.example/"),
            json!(["https://issuer.example/"]),
        ] {
            assert_eq!(check(&config, &json!({ "iss": issuer })), Err("the token is of another issuer"), "{issuer}");
        }
        for audience in [
            json!(null),
            json!("rag"),
            json!("ragline2"),
            json!("Ragline"),
            json!("other ragline"),
            json!([]),
            json!(["rag", "line"]),
            json!([["ragline"]]),
            json!({ "ragline": true }),
        ] {
            let changes = json!({ "aud": audience });
            assert_eq!(check(&config, &changes), Err("the token is for another audience"), "{audience}");
        }
        assert_eq!(check(&config, &json!({ "aud": ["account", "ragline", 7] })), Ok(()));
    }

    #[test]
    fn whom_a_token_is_for_may_stand_in_another_claim_and_be_one_of_several() {
        let config = config(&[("JWT_AUDIENCE_CLAIM", "client_id"), ("JWT_AUDIENCE", "web, mobile")]);
        for client in ["web", "mobile"] {
            assert_eq!(check(&config, &json!({ "client_id": client, "aud": null })), Ok(()));
        }
        for changes in
            [json!({ "aud": "web" }), json!({ "client_id": "web, mobile" }), json!({ "client_id": "ragline" })]
        {
            assert!(check(&config, &changes).is_err(), "{changes}");
        }
    }

    #[test]
    fn a_token_is_good_from_nbf_to_exp_give_or_take_a_clock() {
        let config = config(&[]);
        for good in [
            json!({ "exp": NOW - 29 }),
            json!({ "exp": LAST_SECOND }),
            json!({ "nbf": NOW + 30 }),
            json!({ "nbf": 0 }),
            json!({ "iat": NOW + 1_000_000 }),
            json!({ "iat": "yesterday" }),
        ] {
            assert_eq!(check(&config, &good), Ok(()), "{good}");
        }
        for bad in [
            json!({ "exp": null }),
            json!({ "exp": NOW - 30 }),
            json!({ "exp": 0 }),
            json!({ "exp": -1 }),
            json!({ "exp": (NOW + 60).to_string() }),
            json!({ "exp": 1_800_000_060.5 }),
            json!({ "exp": 1e300 }),
            json!({ "exp": i64::MIN }),
            json!({ "exp": i64::MAX }),
            json!({ "exp": u64::MAX }),
            json!({ "exp": LAST_SECOND + 1 }),
            json!({ "exp": [NOW + 60] }),
            json!({ "nbf": NOW + 31 }),
            json!({ "nbf": u64::MAX }),
            json!({ "nbf": "now" }),
            json!({ "nbf": false }),
        ] {
            assert!(check(&config, &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_claim_is_found_by_its_whole_name_first_and_then_along_its_dots() {
        let claims = json!({
            "tenant": "plain",
            "custom:tenant": "cognito",
            "https://ragline.example/tenant": "auth0",
            "https://ragline.example/all": { "tenant": "auth0-nested" },
            "app_metadata": { "tenant": "supabase", "a.b": "dotted" },
            "app_metadata.role": "whole",
            "resource_access": { "rag.line": { "roles": ["admin"] }, "rag": { "line": "shadow" } },
            "text": "not an object",
        });
        let claims = claims.as_object().unwrap();
        let found = |name: &str| find(claims, name).cloned();
        assert_eq!(found("tenant"), Some(json!("plain")));
        assert_eq!(found("custom:tenant"), Some(json!("cognito")));
        assert_eq!(found("https://ragline.example/tenant"), Some(json!("auth0")));
        assert_eq!(found("https://ragline.example/all.tenant"), Some(json!("auth0-nested")));
        assert_eq!(found("app_metadata.tenant"), Some(json!("supabase")));
        assert_eq!(found("app_metadata.role"), Some(json!("whole")));
        assert_eq!(found("app_metadata.a.b"), Some(json!("dotted")));
        assert_eq!(found("resource_access.rag.line.roles"), Some(json!(["admin"])));
        for nothing in ["", ".", "..", "tenant.", ".tenant", "text.x", "app_metadata.x", "Tenant", "a.b.c.d.e.f.g"] {
            assert_eq!(found(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn of_a_list_the_highest_role_counts_and_a_word_must_be_one() {
        let plain = config(&[]);
        let role = |config: &AuthConfig, value: Value| identity(config, &json!({ "role": value })).map(|(_, c)| c.role);
        assert_eq!(role(&plain, json!(null)), Ok(Role::Viewer));
        assert_eq!(role(&plain, json!("editor")), Ok(Role::Editor));
        assert_eq!(role(&plain, json!(["viewer", "admin", "editor", "root", 7, null])), Ok(Role::Admin));
        assert_eq!(role(&plain, json!(["offline_access", "Owner", ["owner"]])), Ok(Role::Viewer));
        assert_eq!(role(&plain, json!([])), Ok(Role::Viewer));
        for refused in
            [json!("authenticated"), json!("Editor"), json!("none"), json!(""), json!(1), json!({ "admin": 1 })]
        {
            assert!(role(&plain, refused.clone()).is_err(), "{refused}");
        }
        let prefixed = config(&[("JWT_ROLE_PREFIX", "ragline-")]);
        assert_eq!(role(&prefixed, json!("ragline-editor")), Ok(Role::Editor));
        assert_eq!(role(&prefixed, json!(["owner", "ragline-editor", "ragline-x"])), Ok(Role::Editor));
        assert_eq!(role(&prefixed, json!(["owner", "other-ragline-owner"])), Ok(Role::Viewer));
        assert!(role(&prefixed, json!("owner")).is_err());
    }

    #[test]
    fn only_the_tenant_that_the_deployment_names_has_operators() {
        let role = |config: &AuthConfig, tenant: &str, value: Value| {
            identity(config, &json!({ "tenant": tenant, "role": value })).map(|(_, claims)| claims.role)
        };
        let (nobody, platform) = (config(&[]), config(&[("JWT_OPERATOR_TENANT", "platform")]));
        assert_eq!(role(&platform, "platform", json!("operator")), Ok(Role::Operator));
        assert_eq!(role(&platform, "platform", json!(["operator", "viewer"])), Ok(Role::Operator));
        for (config, tenant) in [(&platform, "acme"), (&platform, "Platform"), (&nobody, "platform"), (&nobody, "acme")]
        {
            assert!(role(config, tenant, json!("operator")).is_err(), "{tenant}");
            assert_eq!(role(config, tenant, json!(["operator", "editor"])), Ok(Role::Editor), "{tenant}");
        }
    }

    #[test]
    fn tenant_and_user_must_be_well_formed_text() {
        let config = config(&[]);
        for bad in [
            json!({ "tenant": null }),
            json!({ "tenant": "" }),
            json!({ "tenant": "a#b" }),
            json!({ "tenant": "a/../b" }),
            json!({ "tenant": ["acme"] }),
            json!({ "tenant": 7 }),
            json!({ "tenant": { "id": "acme" } }),
            json!({ "sub": null }),
            json!({ "sub": "" }),
            json!({ "sub": "ada#x" }),
            json!({ "sub": 7 }),
            json!({ "sub": ["ada"] }),
        ] {
            assert!(identity(&config, &bad).is_err(), "{bad}");
        }
        let (found, _) = identity(&config, &json!({ "sub": "google-oauth2|1034567" })).unwrap();
        assert_eq!((found.tenant.as_str(), found.user.as_str()), ("acme", "google-oauth2|1034567"));
    }

    #[test]
    fn an_address_that_nobody_checked_is_left_out() {
        let (plain, named) = (config(&[]), config(&[("JWT_EMAIL_CLAIM", "https://ragline.example/email")]));
        let email = |changes: Value| identity(&plain, &changes).unwrap().1.email;
        assert_eq!(email(json!({})), None);
        assert_eq!(email(json!({ "email": ["a@b.example"] })), None);
        for checked in [json!(null), json!(true), json!("true")] {
            let changes = json!({ "email": "a@b.example", "email_verified": checked });
            assert_eq!(email(changes), Some("a@b.example".to_owned()), "{checked}");
        }
        for doubted in [json!(false), json!("false"), json!(0), json!([]), json!("no")] {
            assert_eq!(email(json!({ "email": "a@b.example", "email_verified": doubted })), None, "{doubted}");
        }
        for beside in ["email_verified", "https://ragline.example/email_verified"] {
            let changes = json!({ "https://ragline.example/email": "a@b.example", beside: false });
            assert_eq!(identity(&named, &changes).unwrap().1.email, None, "{beside}");
        }
    }
}
