use url::Url;

use super::{ConfigError, Variables};
use crate::tenancy::TenantId;

/// Whose tokens are believed, and which claims say what. A name of a claim is tried as a whole first; if there is no such
/// claim, its dots lead into nested ones, so that `app_metadata.role` and `https://ragline.example/role` are both found.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// `JWT_ISSUER`: the `iss` every token must carry, to the letter. Required.
    pub issuer: String,
    /// `JWT_AUDIENCE`: whom a token must be for; one of several if they are separated by commas. Required.
    pub audiences: Vec<String>,
    /// `JWT_AUDIENCE_CLAIM`: the claim that says whom a token is for (`aud`).
    pub audience_claim: String,
    /// `JWKS_URL`: where the issuer publishes its keys; by default `/.well-known/jwks.json` below the issuer.
    pub jwks_url: Url,
    /// `JWT_TENANT_CLAIM`: the claim that names the tenant (`tenant`).
    pub tenant_claim: String,
    /// `JWT_ROLE_CLAIM`: the claim that names the role, or lists roles of which the highest counts (`role`); a token
    /// without it is a viewer's.
    pub role_claim: String,
    /// `JWT_ROLE_PREFIX`: what stands before Ragline's roles in that claim, such as `ragline-`. Empty unless set.
    pub role_prefix: String,
    /// `JWT_EMAIL_CLAIM`: the claim with the e-mail address (`email`).
    pub email_claim: String,
    /// `JWT_OPERATOR_TENANT`: the only tenant whose tokens may carry the role operator. Unless set, none may: whoever
    /// gives out a customer's roles must not be able to make themselves the operator of the platform.
    pub operator_tenant: Option<TenantId>,
}

impl AuthConfig {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let issuer = variables.required_text("JWT_ISSUER", "the address of the OIDC issuer")?;
        let jwks_url = match variables.optional_url("JWKS_URL", &["https", "http"])? {
            Some(url) => url,
            None => Url::parse(&format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'))).map_err(|_| {
                ConfigError::Wrong {
                    name: "JWT_ISSUER",
                    value: issuer.clone(),
                    allowed: "an address, unless JWKS_URL is set".to_owned(),
                }
            })?,
        };
        Ok(Self {
            issuer,
            audiences: audiences(variables)?,
            audience_claim: variables.text("JWT_AUDIENCE_CLAIM", "aud"),
            jwks_url,
            tenant_claim: variables.text("JWT_TENANT_CLAIM", "tenant"),
            role_claim: variables.text("JWT_ROLE_CLAIM", "role"),
            role_prefix: variables.text("JWT_ROLE_PREFIX", ""),
            email_claim: variables.text("JWT_EMAIL_CLAIM", "email"),
            operator_tenant: operator_tenant(variables)?,
        })
    }
}

fn audiences(variables: &Variables) -> Result<Vec<String>, ConfigError> {
    let text = variables.required_text("JWT_AUDIENCE", "the audience of the tokens")?;
    let audiences: Vec<_> = text.split(',').map(|audience| audience.trim().to_owned()).collect();
    if audiences.iter().any(String::is_empty) {
        let allowed = "one audience, or several separated by commas".to_owned();
        return Err(ConfigError::Wrong { name: "JWT_AUDIENCE", value: text, allowed });
    }
    Ok(audiences)
}

fn operator_tenant(variables: &Variables) -> Result<Option<TenantId>, ConfigError> {
    let Some(text) = variables.optional_text("JWT_OPERATOR_TENANT") else { return Ok(None) };
    let wrong = |error| ConfigError::Wrong {
        name: "JWT_OPERATOR_TENANT",
        value: text.to_owned(),
        allowed: format!("a tenant, which {error}"),
    };
    text.parse().map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(further: &[(&str, &str)]) -> Result<AuthConfig, ConfigError> {
        let usual = [("JWT_ISSUER", "https://issuer.example/"), ("JWT_AUDIENCE", "ragline")];
        AuthConfig::from_variables(&Variables::from_pairs(further.iter().copied()).or(&Variables::from_pairs(usual)))
    }

    #[test]
    fn unless_told_otherwise_nobody_is_an_operator_and_the_keys_are_below_the_issuer() {
        let config = config(&[]).unwrap();
        assert_eq!(config.operator_tenant, None);
        assert_eq!(config.issuer, "https://issuer.example/", "to the letter");
        assert_eq!(config.jwks_url.as_str(), "https://issuer.example/.well-known/jwks.json");
        assert_eq!(config.audiences, ["ragline"]);
    }

    #[test]
    fn an_audience_that_is_empty_or_a_tenant_that_cannot_be_one_stops_the_start() {
        assert_eq!(config(&[("JWT_AUDIENCE", "web, mobile")]).unwrap().audiences, ["web", "mobile"]);
        for wrong in [[("JWT_AUDIENCE", "web,")], [("JWT_AUDIENCE", ",")], [("JWT_OPERATOR_TENANT", "a#b")]] {
            let error = config(&wrong).unwrap_err().to_string();
            assert!(error.starts_with(wrong[0].0), "{error}");
        }
    }
}
