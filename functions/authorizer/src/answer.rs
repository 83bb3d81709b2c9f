use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::auth::{Identity, Voucher};
use shared::tenancy::{TenantId, UserId};

use crate::stage::Stage;

/// What API Gateway is told of a caller: the output of a Lambda authorizer as its developer guide describes it. The type
/// of `aws_lambda_events` says `null` for a key that there is none of, which the guide does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    principal_id: String,
    policy_document: Policy,
    context: Voucher,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_identifier_key: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    version: &'static str,
    statement: [Statement; 1],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    action: &'static str,
    effect: &'static str,
    resource: String,
}

impl Answer {
    /// Lets a caller use the whole stage, counted by this key of a usage plan.
    pub(crate) fn new(identity: Identity, stage: &Stage<'_>, usage_key: Option<String>) -> Self {
        let statement = Statement { action: "execute-api:Invoke", effect: "Allow", resource: stage.all_methods() };
        Self {
            principal_id: principal_id(&identity.tenant, &identity.user),
            policy_document: Policy { version: "2012-10-17", statement: [statement] },
            context: identity.into(),
            usage_identifier_key: usage_key,
        }
    }
}

/// The tenant, and a name by which its user can be told from others but not recognized: API Gateway may write it to logs
/// and traces, and user ids are often e-mail addresses. Nothing reads it; the functions are told by the context.
fn principal_id(tenant: &TenantId, user: &UserId) -> String {
    // With the tenant in it, so that a user of two tenants has two names.
    let digest = Sha256::digest(format!("{tenant}/{user}"));
    format!("{tenant}/{}", URL_SAFE_NO_PAD.encode(&digest[..12]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_one_user_of_one_tenant_and_names_no_person() {
        let id = |tenant: &str, user: &str| principal_id(&tenant.parse().unwrap(), &user.parse().unwrap());
        let ada = id("acme", "ada@example.com");
        assert!(ada.starts_with("acme/") && !ada.contains("ada@"), "{ada}");
        assert_eq!(ada, id("acme", "ada@example.com"));
        assert_ne!(ada, id("acme", "bob@example.com"));
        assert!(!id("globex", "ada@example.com").ends_with(ada.trim_start_matches("acme/")));
    }
}
