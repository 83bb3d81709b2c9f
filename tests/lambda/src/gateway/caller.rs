use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::event::{arn, question};
use crate::answer::Answer;
use crate::function::Function;
use crate::invoke_error::InvokeError;

/// How long API Gateway keeps what the authorizer said of a header.
const KEPT: Duration = Duration::from_mins(5);

/// Asks the authorizer who is calling.
pub(super) struct Callers {
    authorizer: Arc<Function>,
    known: Mutex<HashMap<String, (Instant, Verdict)>>,
}

/// What the authorizer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The request goes on, with this in its context.
    Allowed(Value),
    /// Nobody is known by that header.
    Unknown,
    /// The caller may not do that.
    Denied,
    /// It cannot be said.
    Failed,
}

impl Callers {
    pub(super) fn new(authorizer: Arc<Function>) -> Self {
        Self { authorizer, known: Mutex::default() }
    }

    /// What is said of the caller of an event. What was said of the same header a while ago holds on.
    pub(super) async fn of(&self, event: &Value) -> Verdict {
        let header = event["headers"].as_object().and_then(|headers| {
            headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"))?.1.as_str()
        });
        let Some(header) = header else { return Verdict::Unknown };
        if let Some(known) = self.known(header) {
            return known;
        }
        let verdict = match self.authorizer.invoke(question(event)).await {
            Ok(Answer::Buffered(answer)) => read(&serde_json::from_slice(&answer).unwrap_or_default()),
            Err(InvokeError::Failed(failure)) if failure.error_message == "Unauthorized" => return Verdict::Unknown,
            _ => return Verdict::Failed,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(header.to_owned(), (Instant::now(), verdict.clone()));
        verdict
    }

    fn known(&self, header: &str) -> Option<Verdict> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(header).filter(|(since, _)| since.elapsed() < KEPT).map(|(_, verdict)| verdict.clone())
    }
}

/// An answer of an authorizer. This one lets a caller use the whole stage, or nothing.
fn read(answer: &Value) -> Verdict {
    let [statement] = answer["policyDocument"]["Statement"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        return Verdict::Failed;
    };
    if statement["Effect"] != "Allow" || statement["Resource"] != arn("*", "/*") {
        return Verdict::Denied;
    }
    let mut context: Map<String, Value> = answer["context"].as_object().cloned().unwrap_or_default();
    // API Gateway makes text of whatever it is given.
    for value in context.values_mut().filter(|value| !value.is_string()) {
        *value = value.to_string().into();
    }
    context.insert("principalId".to_owned(), answer["principalId"].clone());
    context.insert("integrationLatency".to_owned(), 7.into());
    Verdict::Allowed(context.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_authorizer_lets_in_goes_on_as_text() {
        let mut answer: Value =
            serde_json::from_str(&::tests::data::project_file("events/authorizer/token.allow.json")).unwrap();
        answer["context"]["number"] = json!(1);
        let Verdict::Allowed(context) = read(&answer) else { panic!("it is allowed") };
        assert_eq!(context["tenant"], "acme");
        assert_eq!(context["number"], "1");
        assert_eq!(context["principalId"], answer["principalId"]);
        answer["policyDocument"]["Statement"][0]["Effect"] = json!("Deny");
        assert_eq!(read(&answer), Verdict::Denied);
        assert_eq!(read(&json!({})), Verdict::Failed);
    }
}
