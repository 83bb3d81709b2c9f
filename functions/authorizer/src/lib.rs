//! Tells API Gateway who is asking, before any function is invoked, so that a token is verified once in some minutes and
//! not at every request.
//!
//! API Gateway keeps the answer under the value of the `Authorization` header and repeats it for all routes, so it allows
//! all of them. What the caller may do there, and how often, is for the door of each function to say.

mod answer;
mod stage;
mod usage;

use aws_lambda_events::apigw::ApiGatewayCustomAuthorizerRequestTypeRequest as Request;
use shared::auth::{Authenticator, Identity};
use shared::door::Plans;
use shared::error::Error;
use shared::tenants::Tenants;

pub use self::answer::Answer;
pub use self::stage::MalformedArn;
use self::stage::Stage;
pub use self::usage::UsageKeys;

/// What the function needs.
#[derive(Clone)]
pub struct State {
    /// Knows credentials, as the door does.
    pub authenticator: Authenticator,
    /// The tenants with their plans.
    pub tenants: Tenants,
    /// The plans of the deployment.
    pub plans: Plans,
    /// The API Gateway key of each plan.
    pub usage_keys: UsageKeys,
}

/// Why nobody is let in. The texts of these errors are all that API Gateway is told.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The credential is not valid; the reason is for the log. API Gateway answers 401 for exactly this text, and 500 for
    /// any other.
    #[error("Unauthorized")]
    Unauthorized(&'static str),
    /// It could not be found out whether it is.
    #[error("the caller could not be verified: {0}")]
    Unverified(Error),
    /// There is no stage to let anybody into.
    #[error(transparent)]
    Malformed(#[from] MalformedArn),
}

/// Answers for whom the headers of a request speak, and that they may use the stage that it is for.
pub async fn handle(state: &State, event: &Request) -> Result<Answer, Refusal> {
    // The one that the client is told, and that API Gateway's own log has.
    let request_id = event.request_context.request_id.as_deref().unwrap_or_default();
    let outcome = answer(state, event).await;
    match &outcome {
        Ok(_) => tracing::info!(request_id, "allowed"),
        Err(Refusal::Unauthorized(reason)) => tracing::info!(request_id, reason, "refused"),
        Err(error) => tracing::error!(request_id, %error, "failed"),
    }
    outcome
}

async fn answer(state: &State, event: &Request) -> Result<Answer, Refusal> {
    let stage = Stage::of(event.method_arn.as_deref().unwrap_or_default())?;
    let identity = identity(state, event).await?;
    let usage_key = usage_key(state, &identity).await;
    Ok(Answer::new(identity, &stage, usage_key))
}

async fn identity(state: &State, event: &Request) -> Result<Identity, Refusal> {
    // The plain headers name only the last of several values.
    let headers = if event.multi_value_headers.is_empty() { &event.headers } else { &event.multi_value_headers };
    state.authenticator.authenticate(headers).await.map_err(|error| match error {
        Error::Unauthenticated(reason) => Refusal::Unauthorized(reason),
        error => Refusal::Unverified(error),
    })
}

/// The key that counts the request towards the plan of its tenant. API Gateway turns away whoever has none, and its counts
/// are a coarse second line behind the limits of the door: a plan without a key, or one that is not known now, is the
/// standard one here.
async fn usage_key(state: &State, identity: &Identity) -> Option<String> {
    if state.usage_keys.is_empty() {
        return None;
    }
    let plan = match state.tenants.get(&identity.tenant).await {
        // A plan that is gone is the standard one at the door, too.
        Ok(tenant) => tenant.plan.filter(|plan| state.plans.get(plan).is_some()),
        Err(error) => {
            tracing::error!(tenant = %identity.tenant, %error, "the plan is not known, so the request counts as standard");
            None
        }
    };
    plan.and_then(|plan| state.usage_keys.of(&plan)).or_else(|| state.usage_keys.of(state.plans.standard()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_text_becomes_401_and_it_says_no_reason() {
        assert_eq!(Refusal::Unauthorized("the token is too long").to_string(), "Unauthorized");
        assert_ne!(
            Refusal::Unverified(Error::unavailable("the issuer's keys are not known")).to_string(),
            "Unauthorized"
        );
    }
}
