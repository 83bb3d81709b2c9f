//! Which lines are logged, and where they go.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{ConfigError, LogFormat, TelemetryConfig};
use crate::telemetry::line::{Fields, Line};
use crate::telemetry::{BoxedLayer, INVOCATION, ROOT, UNTRACED};

/// The crates whose lines are ours. Of no other one do we know what stands in its lines.
pub(super) const OURS: [&str; 13] = [
    "authorizer",
    "changes",
    "chat",
    "documents",
    "health",
    "ingest",
    "local",
    "ragline",
    "search",
    "shared",
    "upload",
    "users",
    "webhooks",
];
/// What libraries say at these targets, our own lines say too, and without a payload.
const SAID_BY_US: [&str; 1] = ["lambda_runtime::layers::panic"];

/// Writes lines to standard error.
pub(super) fn layer(config: &TelemetryConfig) -> Result<BoxedLayer, ConfigError> {
    let filter = LogFilter { levels: levels(&config.level)?, debug_share: config.debug_share };
    let line = match config.format {
        LogFormat::Text => Line::Text { colours: std::io::stderr().is_terminal() },
        LogFormat::Json => Line::Json,
    };
    let lines = fmt::layer::<Registry>().with_writer(std::io::stderr).fmt_fields(Fields::of(line)).event_format(line);
    Ok(lines.with_filter(filter).boxed())
}

/// What `LOG_LEVEL` says: a level without a target is that of our own crates.
fn levels(text: &str) -> Result<Targets, ConfigError> {
    // A word that is no level would be a target, and nothing else would be logged.
    let is_known = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    let given = text.split(',').all(is_known).then(|| text.parse::<Targets>().ok()).flatten();
    let given = given.ok_or_else(|| ConfigError::Wrong {
        name: "LOG_LEVEL",
        value: text.to_owned(),
        allowed: "a level such as info, or target=level pairs".to_owned(),
    })?;
    let level = given.default_level().unwrap_or(LevelFilter::OFF);
    Ok(Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OURS.map(|target| (target, level)))
        .with_targets(SAID_BY_US.map(|target| (target, LevelFilter::OFF)))
        .with_targets(given.iter().map(|(target, level)| (target.to_owned(), level))))
}

/// Whether the fields of a span stand in the lines within it.
pub(super) fn is_about(span: &Metadata<'_>) -> bool {
    matches!(span.target(), ROOT | UNTRACED | INVOCATION)
}

/// Whether one of our crates says it.
pub(super) fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    OURS.contains(&target.split_once("::").map_or(target, |(first, _)| first))
}

/// Lets lines through by their level, and of some requests all of ours.
struct LogFilter {
    levels: Targets,
    debug_share: f32,
}

/// An extension of the span of a request all of whose lines are logged.
struct InDetail;

impl LogFilter {
    /// Whether the line is one that is logged in detail only.
    fn is_detail(&self, metadata: &Metadata<'_>) -> bool {
        self.debug_share > 0.0 && metadata.is_event() && *metadata.level() == Level::DEBUG && is_ours(metadata)
    }
}

impl Filter<Registry> for LogFilter {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, Registry>) -> bool {
        if metadata.is_span() {
            return is_about(metadata);
        }
        let in_detail = || {
            let mut scope = context.lookup_current().into_iter().flat_map(|span| span.scope());
            scope.any(|span| span.extensions().get::<InDetail>().is_some())
        };
        Filter::enabled(&self.levels, metadata, context) || (self.is_detail(metadata) && in_detail())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_span() {
            return if is_about(metadata) { Interest::always() } else { Interest::never() };
        }
        match Filter::<Registry>::callsite_enabled(&self.levels, metadata) {
            interest if interest.is_never() && self.is_detail(metadata) => Interest::sometimes(),
            interest => interest,
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let hint = Filter::<Registry>::max_level_hint(&self.levels)?;
        Some(if self.debug_share > 0.0 { hint.max(LevelFilter::DEBUG) } else { hint })
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, Registry>) {
        if self.debug_share > 0.0
            && matches!(attributes.metadata().target(), ROOT | UNTRACED)
            && fastrand::f32() < self.debug_share
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(InDetail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_alone_is_ours_and_libraries_say_no_more_than_warnings() {
        let trace = levels("trace").unwrap();
        assert!(trace.would_enable("shared::door", &Level::TRACE));
        assert!(trace.would_enable("hyper::proto", &Level::WARN) && !trace.would_enable("hyper::proto", &Level::INFO));
        assert!(!trace.would_enable("lambda_runtime::layers::panic", &Level::ERROR));
        let named = levels("error,hyper=debug").unwrap();
        assert!(named.would_enable("hyper::proto", &Level::DEBUG) && !named.would_enable("shared", &Level::WARN));
        assert!(!named.would_enable("aws_config", &Level::WARN));
        assert!(!levels("chat=debug").unwrap().would_enable("shared", &Level::ERROR));
        assert!(levels("loud").is_err());
    }
}
