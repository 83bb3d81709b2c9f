use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use sentry::types::Dsn;
use url::Url;

use super::{ConfigError, Variables};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    Text,
    /// One JSON object a line, for CloudWatch.
    Json,
}

/// What is logged, and what is told of requests elsewhere.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `LOG_LEVEL`: a level such as `info`, or levels by target such as `info,hyper=debug` (`info`). A level alone is that of
    /// Ragline's own lines; those of libraries are `warn` at most unless they are named, since what they say in detail may
    /// hold headers and bodies.
    pub level: String,
    /// `LOG_FORMAT`: `text` or `json` (`text`).
    pub format: LogFormat,
    /// `LOG_DEBUG_SHARE`: the share of requests and messages whose own lines are logged at `debug` whatever the level is (0).
    pub debug_share: f32,
    /// Where traces go; none without an address.
    pub traces: Option<TracesConfig>,
    /// Where failures are reported; none without `SENTRY_DSN`.
    pub sentry: Option<SentryConfig>,
}

/// Where traces go, by OTLP over HTTP. The variables are those of OpenTelemetry.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, to which `/v1/traces` is appended, or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` as it is.
    pub url: Url,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: `name=value` pairs, separated by commas; values may be percent-encoded.
    pub headers: HeaderMap,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`: for the collector to take what it is sent, in milliseconds (2,000).
    pub timeout: Duration,
    /// `OTEL_TRACES_SAMPLER_ARG`: the share of traces that are recorded (1).
    pub ratio: f32,
    /// `OTEL_TRACES_SAMPLER`: `parentbased_traceidratio`, where a caller who says whether a trace is recorded decides, or
    /// `traceidratio`, where the share alone does (`parentbased_traceidratio`).
    pub follows_caller: bool,
    /// `OTEL_SERVICE_NAME`: by default the name of the function, or `ragline`.
    pub service: String,
    /// `OTEL_RESOURCE_ATTRIBUTES`: what else is said of the service, as pairs like the headers.
    pub attributes: Vec<(String, String)>,
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`: whether questions and answers stand in traces (`false`).
    pub contents: bool,
}

/// Where failures are reported.
#[derive(Debug, Clone)]
pub struct SentryConfig {
    /// `SENTRY_DSN`.
    pub dsn: Dsn,
    /// `SENTRY_ENVIRONMENT`: which deployment this is (`production`).
    pub environment: String,
    /// `SENTRY_RELEASE`: by default the version of the program.
    pub release: String,
}

impl TelemetryConfig {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            level: variables.text("LOG_LEVEL", "info"),
            format: variables.choice("LOG_FORMAT", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
            debug_share: variables.fraction("LOG_DEBUG_SHARE", 0.0)?,
            traces: TracesConfig::from_variables(variables)?,
            sentry: SentryConfig::from_variables(variables)?,
        })
    }
}

impl TracesConfig {
    fn from_variables(variables: &Variables) -> Result<Option<Self>, ConfigError> {
        const SCHEMES: &[&str] = &["http", "https"];
        let exact = variables.optional_url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", SCHEMES)?;
        let url = match (exact, variables.optional_url("OTEL_EXPORTER_OTLP_ENDPOINT", SCHEMES)?) {
            (Some(exact), _) => exact,
            (None, Some(mut base)) => {
                let path = format!("{}/v1/traces", base.path().trim_end_matches('/'));
                base.set_path(&path);
                base
            }
            (None, None) => return Ok(None),
        };
        let function = variables.text("AWS_LAMBDA_FUNCTION_NAME", "ragline");
        Ok(Some(Self {
            url,
            headers: headers(variables, "OTEL_EXPORTER_OTLP_HEADERS")?,
            timeout: variables.milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", 2_000)?,
            ratio: variables.fraction("OTEL_TRACES_SAMPLER_ARG", 1.0)?,
            follows_caller: variables
                .choice("OTEL_TRACES_SAMPLER", &[("parentbased_traceidratio", true), ("traceidratio", false)])?,
            service: variables.text("OTEL_SERVICE_NAME", &function),
            attributes: pairs(variables, "OTEL_RESOURCE_ATTRIBUTES")?,
            contents: variables
                .choice("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", &[("false", false), ("true", true)])?,
        }))
    }
}

impl SentryConfig {
    fn from_variables(variables: &Variables) -> Result<Option<Self>, ConfigError> {
        const NAME: &str = "SENTRY_DSN";
        let Some(dsn) = variables.optional_text(NAME) else { return Ok(None) };
        let dsn = dsn.parse().map_err(|_| ConfigError::Wrong {
            name: NAME,
            value: "…".to_owned(),
            allowed: "the DSN of a project, such as https://<key>@<host>/<project>".to_owned(),
        })?;
        Ok(Some(Self {
            dsn,
            environment: variables.text("SENTRY_ENVIRONMENT", "production"),
            release: variables.text("SENTRY_RELEASE", concat!("ragline@", env!("CARGO_PKG_VERSION"))),
        }))
    }
}

/// The `name=value` pairs in a variable. The first `=` divides: keys in base 64 end with more.
fn pairs(variables: &Variables, name: &'static str) -> Result<Vec<(String, String)>, ConfigError> {
    let text = variables.optional_text(name).unwrap_or_default();
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim().to_owned(), value.into_owned()))
    };
    let pairs: Option<_> = text.split(',').filter(|text| !text.trim().is_empty()).map(pair).collect();
    pairs.ok_or_else(|| not_pairs(name))
}

fn headers(variables: &Variables, name: &'static str) -> Result<HeaderMap, ConfigError> {
    let header = |(name, value): (String, String)| {
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    };
    let headers: Option<_> = pairs(variables, name)?.into_iter().map(header).collect();
    headers.ok_or_else(|| not_pairs(name))
}

/// A header may be a key, so the value is not repeated.
fn not_pairs(name: &'static str) -> ConfigError {
    ConfigError::Wrong {
        name,
        value: "…".to_owned(),
        allowed: "name=value pairs, separated by commas, with values percent-encoded where needed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<TelemetryConfig, ConfigError> {
        TelemetryConfig::from_variables(&Variables::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn without_addresses_nothing_goes_elsewhere() {
        let config = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "x=y"), ("SENTRY_ENVIRONMENT", "test")]).unwrap();
        assert!(config.traces.is_none() && config.sentry.is_none());
    }

    #[test]
    fn traces_go_where_opentelemetry_says() {
        for (base, expected) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("https://cloud.langfuse.com/api/public/otel", "https://cloud.langfuse.com/api/public/otel/v1/traces"),
            ("https://api.smith.langchain.com/otel/", "https://api.smith.langchain.com/otel/v1/traces"),
        ] {
            let traces = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", base)]).unwrap().traces.unwrap();
            assert_eq!(traces.url.as_str(), expected);
        }
        let exact = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b/x")];
        assert_eq!(read(&exact).unwrap().traces.unwrap().url.as_str(), "http://b/x");
    }

    #[test]
    fn headers_are_read_as_vendors_write_them_and_never_printed() {
        let sent = "Authorization=Basic%20cGs6c2VjcmV0, x-api-key=secret==,";
        let pairs = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_EXPORTER_OTLP_HEADERS", sent)];
        let traces = read(&pairs).unwrap().traces.unwrap();
        assert_eq!(traces.headers["authorization"], "Basic cGs6c2VjcmV0");
        assert_eq!(traces.headers["x-api-key"], "secret==");
        let printed = format!("{traces:?}");
        assert!(!printed.contains("secret") && !printed.contains("cGs6"), "{printed}");
        for wrong in ["secret", "a b=secret", "x=secret\u{1}"] {
            let error = read(&[pairs[0], ("OTEL_EXPORTER_OTLP_HEADERS", wrong)]).unwrap_err().to_string();
            assert!(error.contains("OTEL_EXPORTER_OTLP_HEADERS") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_wrong_dsn_is_named_and_not_repeated() {
        let error = read(&[("SENTRY_DSN", "https://secret.example")]).unwrap_err().to_string();
        assert!(error.contains("SENTRY_DSN") && !error.contains("secret"), "{error}");
    }
}
