use url::Url;

use super::{ConfigError, Variables};

/// Whose tokens are believed, and which claims say what.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// `JWT_ISSUER`: the `iss` every token must carry. Required.
    pub issuer: String,
    /// `JWT_AUDIENCE`: the `aud` every token must carry. Required.
    pub audience: String,
    /// `JWKS_URL`: where the issuer publishes its keys; by default `/.well-known/jwks.json` below the issuer.
    pub jwks_url: Url,
    /// `JWT_TENANT_CLAIM`: the claim that names the tenant (`tenant`).
    pub tenant_claim: String,
    /// `JWT_ROLE_CLAIM`: the claim that names the role (`role`); a token without it is a viewer's.
    pub role_claim: String,
    /// `JWT_EMAIL_CLAIM`: the claim with the e-mail address (`email`).
    pub email_claim: String,
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
            audience: variables.required_text("JWT_AUDIENCE", "the audience of the tokens")?,
            jwks_url,
            tenant_claim: variables.text("JWT_TENANT_CLAIM", "tenant"),
            role_claim: variables.text("JWT_ROLE_CLAIM", "role"),
            email_claim: variables.text("JWT_EMAIL_CLAIM", "email"),
        })
    }
}
