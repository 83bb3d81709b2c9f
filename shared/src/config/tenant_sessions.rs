use url::Url;

use super::{ConfigError, Variables};

/// How what is done for a tenant is signed, where that is by a session of the tenant.
#[derive(Debug, Clone)]
pub struct TenantSessionsConfig {
    /// `TENANT_ROLE_ARN`: the role of the sessions, which may reach what the session tag `tenant` names.
    pub role_arn: String,
    /// `STS_ENDPOINT`: another address than the region's, for an emulator.
    pub endpoint: Option<Url>,
}

impl TenantSessionsConfig {
    /// Reads the variables named above; `None` without a role, where the function signs everything itself.
    pub fn from_variables(variables: &Variables) -> Result<Option<Self>, ConfigError> {
        const NAME: &str = "TENANT_ROLE_ARN";
        let Some(role_arn) = variables.optional_text(NAME) else { return Ok(None) };
        let parts: Vec<_> = role_arn.split(':').collect();
        if !matches!(parts.as_slice(), ["arn", _, "iam", "", _, role] if role.starts_with("role/")) {
            let allowed = "the ARN of a role, arn:aws:iam::<account>:role/<name>".to_owned();
            return Err(ConfigError::Wrong { name: NAME, value: role_arn.to_owned(), allowed });
        }
        let endpoint = variables.optional_url("STS_ENDPOINT", &["http", "https"])?;
        Ok(Some(Self { role_arn: role_arn.to_owned(), endpoint }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_sessions_without_a_role_and_none_with_what_is_no_role() {
        let read = |arn: &str| TenantSessionsConfig::from_variables(&Variables::from_pairs([("TENANT_ROLE_ARN", arn)]));
        assert!(read("").unwrap().is_none());
        let arn = "arn:aws-cn:iam::123456789012:role/path/tenant";
        assert_eq!(read(arn).unwrap().unwrap().role_arn, arn);
        for wrong in ["tenant", "arn:aws:iam::123456789012:user/tenant", "arn:aws:s3:::role/tenant"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
