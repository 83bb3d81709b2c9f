use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use sha2::{Digest, Sha256};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::telemetry::{INVOCATION, ROOT, Traceparent, UNTRACED, traces};
use crate::tenancy::{DocumentId, TenantId, UserId};

/// No request was answered by this process yet.
static COLD: AtomicBool = AtomicBool::new(true);

/// What is written of users: half of the SHA-256 of tenant, a zero byte, and user. Ids of users may be addresses, which stand in
/// no line. Who knows an id finds its lines; who does not, can only guess.
pub fn pseudonym(tenant: &TenantId, user: &UserId) -> String {
    let hash = Sha256::new_with_prefix(tenant.as_str()).chain_update([0]).chain_update(user.as_str()).finalize();
    format!("{:032x}", u128::from_be_bytes(std::array::from_fn(|place| hash[place])))
}

/// The span of a request: whatever is done for it is done within.
#[derive(Debug, Clone)]
pub struct Root {
    span: Span,
    is_traced: bool,
}

/// The span of a root, at the target of what is traced or of what is not.
macro_rules! root_span {
    ($is_traced:expr, $($fields:tt)*) => {
        if $is_traced {
            tracing::error_span!(target: ROOT, $($fields)*)
        } else {
            tracing::error_span!(target: UNTRACED, $($fields)*)
        }
    };
}

/// A request that begins, in the trace that its caller names, if any. The names of attributes are those of OpenTelemetry's
/// conventions for HTTP servers.
pub fn request(request_id: &str, method: &Method, route: &str, parent: Option<Traceparent>) -> Root {
    let (method, is_traced) = (known(method), traces::records_request(parent.as_ref()));
    let span = root_span!(
        is_traced,
        "request",
        request_id,
        method,
        route,
        tenant = Empty,
        user = Empty,
        cold_start = Empty,
        trace_id = Empty,
        otel.name = %format_args!("{method}{}{route}", if route.is_empty() { "" } else { " " }),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    );
    if COLD.load(Ordering::Relaxed) && COLD.swap(false, Ordering::Relaxed) {
        span.record("cold_start", true);
    }
    Root { span, is_traced }.placed(parent)
}

/// Work that follows from a request, in the trace of it. `name` says what is done.
pub fn job(name: &'static str, tenant: &TenantId, document: Option<DocumentId>, parent: Option<Traceparent>) -> Root {
    let is_traced = traces::records_job(parent.as_ref());
    let span = root_span!(
        is_traced,
        "job",
        job = name,
        trace_id = Empty,
        ragline.tenant = tenant.as_str(),
        ragline.document = document.map(tracing::field::display),
        otel.name = name,
        otel.kind = "consumer",
        error.type = Empty,
        otel.status_code = Empty,
    );
    Root { span, is_traced }.placed(parent)
}

/// An invocation of a worker, with Lambda's id for it: around all the messages it was invoked with, and only for their lines.
pub(crate) fn invocation(request_id: &str) -> Span {
    tracing::error_span!(target: INVOCATION, "invocation", request_id)
}

/// A message that a worker looks at, and what it is about as far as that is known without asking anybody: for its lines only.
pub fn message(id: &str, tenant: Option<&TenantId>, document: Option<DocumentId>) -> Span {
    tracing::error_span!(
        target: INVOCATION,
        "message",
        message_id = id,
        tenant = tenant.map(TenantId::as_str),
        document = document.map(tracing::field::display),
    )
}

/// Any other is a word that somebody chose.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

impl Root {
    /// The root in its trace, if that is recorded. Its lines name the trace of its caller in any case.
    fn placed(self, parent: Option<Traceparent>) -> Self {
        if self.is_traced {
            if let Some(parent) = parent {
                // It fails where nothing is recorded at all.
                let _ = self.span.set_parent(parent.into_parent());
            }
            if let Some(own) = Traceparent::of(&self.span) {
                self.span.record("trace_id", own.trace_id());
            }
        } else if let Some(parent) = parent {
            self.span.record("trace_id", parent.trace_id());
        }
        self
    }

    /// The span, to be entered.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Who asks.
    pub fn asked_by(&self, tenant: &TenantId, user: &UserId) {
        if !self.span.is_disabled() {
            self.span.record("tenant", tenant.as_str());
            self.span.record("user", pseudonym(tenant, user));
        }
    }

    /// How a request was answered. `failure` names what went wrong, where something did.
    pub fn answered(&self, status: u16, failure: Option<&str>) {
        if self.is_traced {
            self.span.record("http.response.status_code", i64::from(status));
        }
        if let Some(kind) = failure {
            self.failed(kind);
        }
    }

    /// It failed on our side; `kind` names how, and is one of few.
    pub fn failed(&self, kind: &str) {
        if self.is_traced {
            self.span.record("error.type", kind);
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_known_by_the_same_name_in_one_tenant_and_by_another_in_the_next() {
        let of = |tenant: &str, user: &str| pseudonym(&tenant.parse().unwrap(), &user.parse().unwrap());
        // printf 'acme\0ada@example.com' | sha256sum | cut -c1-32
        assert_eq!(of("acme", "ada@example.com"), "2f71b32ce065668edaa15079898ba278");
        assert_ne!(of("acme", "ada"), of("globex", "ada"));
    }
}
