use std::fmt;
use std::str::FromStr;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::telemetry::traces;

/// Where in a trace something happens, as HTTP carries it (W3C Trace Context, `traceparent`). It is carried on in what waits
/// for a worker: in a document, and in the messages of our own queues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Traceparent(SpanContext);

/// A text is no traceparent.
#[derive(Debug, thiserror::Error)]
#[error("no traceparent")]
pub struct NoTraceparent;

impl Traceparent {
    /// That of the current span, or of a trace that is not recorded if that is none; none without a collector.
    pub fn current() -> Option<Self> {
        Self::of(&Span::current()).or_else(|| traces::are_recorded().then(Self::not_recorded))
    }

    /// That of something in a trace of which nothing is recorded.
    fn not_recorded() -> Self {
        let ids = RandomIdGenerator::default();
        let (trace, span) = (ids.new_trace_id(), ids.new_span_id());
        Self(SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, true, TraceState::NONE))
    }

    pub(super) fn of(span: &Span) -> Option<Self> {
        let context = span.context().span().span_context().clone();
        context.is_valid().then_some(Self(context))
    }

    pub(super) fn is_sampled(&self) -> bool {
        self.0.is_sampled()
    }

    pub(super) fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }

    /// What happens from here on is a part of this trace.
    pub(super) fn into_parent(self) -> Context {
        Context::new().with_remote_span_context(self.0)
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = self.0.trace_flags() & TraceFlags::SAMPLED;
        write!(f, "00-{}-{}-{:02x}", self.0.trace_id(), self.0.span_id(), flags.to_u8())
    }
}

impl FromStr for Traceparent {
    type Err = NoTraceparent;

    /// Later versions may have more behind the flags; what we know of them is the same (W3C Trace Context, 4.3).
    fn from_str(text: &str) -> Result<Self, NoTraceparent> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(part)
        };
        let (version, trace, span, flags) =
            (|| Some((part(2)?, part(32)?, part(16)?, part(2)?)))().ok_or(NoTraceparent)?;
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(NoTraceparent);
        }
        let trace = TraceId::from_hex(trace).map_err(|_| NoTraceparent)?;
        let span = SpanId::from_hex(span).map_err(|_| NoTraceparent)?;
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).map_err(|_| NoTraceparent)?);
        let context = SpanContext::new(trace, span, flags & TraceFlags::SAMPLED, true, TraceState::NONE);
        if context.is_valid() { Ok(Self(context)) } else { Err(NoTraceparent) }
    }
}

impl TryFrom<String> for Traceparent {
    type Error = NoTraceparent;

    fn try_from(text: String) -> Result<Self, NoTraceparent> {
        text.parse()
    }
}

impl From<Traceparent> for String {
    fn from(traceparent: Traceparent) -> Self {
        traceparent.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_is_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(text.parse::<Traceparent>().unwrap().to_string(), text);
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-comes";
        assert_eq!(later.parse::<Traceparent>().unwrap().to_string(), text);
    }

    #[test]
    fn what_is_malformed_begins_a_trace_of_its_own() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\u{fc}",
        ] {
            assert!(wrong.parse::<Traceparent>().is_err(), "{wrong}");
        }
    }
}
