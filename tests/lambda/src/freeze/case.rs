use serde_json::{Value, json};

use crate::installation::Installation;

/// What environments are asked, before they are frozen and after.
pub(super) const CASES: [Case; 8] = [
    Case { name: "GET /documents, cached", function: "documents", sample: "documents/list", changed: |_| {} },
    Case { name: "GET /documents, read", function: "documents", sample: "documents/list", changed: uncached },
    Case { name: "POST /search, cached", function: "search", sample: "search/search", changed: |_| {} },
    Case { name: "POST /search", function: "search", sample: "search/search", changed: uncached },
    Case { name: "POST /documents/upload", function: "upload", sample: "upload/announcement", changed: another },
    Case { name: "GET /users/me, read", function: "users", sample: "users/me", changed: uncached },
    Case { name: "POST /chat", function: "chat", sample: "chat/stream", changed: |_| {} },
    Case { name: "a token", function: "authorizer", sample: "authorizer/token", changed: |_| {} },
];

/// A request to a function.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) function: &'static str,
    sample: &'static str,
    changed: fn(&mut Value),
}

impl Case {
    /// The request, as an event that is new each time.
    pub(super) fn event(&self, installation: &Installation) -> Value {
        let mut event = installation.sample(self.sample);
        (self.changed)(&mut event);
        event
    }
}

/// No answer that is there already will do.
fn uncached(event: &mut Value) {
    event["headers"]["Cache-Control"] = json!("no-cache");
    event["multiValueHeaders"]["Cache-Control"] = json!(["no-cache"]);
}

/// Not the same upload once more.
fn another(event: &mut Value) {
    for headers in ["headers", "multiValueHeaders"] {
        event[headers].as_object_mut().unwrap().remove("Idempotency-Key");
    }
}
