//! What a log line looks like.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Between a field of a span and its value, and behind the value. Neither can stand in one that is written.
const IS: char = '\u{1}';
const END: char = '\u{2}';

/// A line: when, how grave, where, what, its fields, and those of the request or message that it is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line {
    /// One JSON object.
    Json,
    /// For a person.
    Text {
        /// Whether levels are coloured.
        colours: bool,
    },
}

/// Keeps the fields of a span as they stand in its lines. A name with a dot is for traces, not for lines.
pub(super) struct Fields(Line);

impl Fields {
    pub(super) fn of(line: Line) -> Self {
        Self(line)
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        match self {
            Self::Json => {
                writer.write_str("{\"timestamp\":\"")?;
                SystemTime.format_time(&mut writer)?;
                let level = metadata.level().as_str();
                write_all(&mut writer, ["\",\"level\":\"", level, "\",\"target\":\"", metadata.target(), "\""])?;
            }
            Self::Text { colours } => {
                SystemTime.format_time(&mut writer)?;
                let level = metadata.level();
                if *colours {
                    write!(writer, " \u{1b}[{}m{level:>5}\u{1b}[0m", colour(*level))?;
                } else {
                    write!(writer, " {level:>5}")?;
                }
            }
        }
        for part in [Part::Message, Part::Rest] {
            let mut values = Values { line: *self, part, writer: &mut writer, outcome: Ok(()) };
            event.record(&mut values);
            values.outcome?;
        }
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<FormattedFields<N>>() else { continue };
            for (name, value) in fields.fields.split(END).filter_map(|field| field.split_once(IS)) {
                // What the line says itself is not said again.
                if metadata.fields().field(name).is_none() {
                    self.begin_field(&mut writer, name)?;
                    writer.write_str(value)?;
                }
            }
        }
        writer.write_str(if matches!(self, Self::Json) { "}\n" } else { "\n" })
    }
}

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut values = Values { line: self.0, part: Part::Span, writer: &mut writer, outcome: Ok(()) };
        fields.record(&mut values);
        values.outcome
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

impl Line {
    fn begin_field(self, writer: &mut Writer<'_>, name: &str) -> fmt::Result {
        match self {
            Self::Json => write_all(writer, [",\"", name, "\":"]),
            Self::Text { .. } => write_all(writer, [" ", name, "="]),
        }
    }
}

/// Without the detour over a format: there are dozens in a line, and a line for each request.
fn write_all<const N: usize>(writer: &mut Writer<'_>, parts: [&str; N]) -> fmt::Result {
    parts.into_iter().try_for_each(|part| writer.write_str(part))
}

/// Which fields are written.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// Of a line, what it says.
    Message,
    /// Of a line, all others.
    Rest,
    /// Those of a span, to be kept for its lines.
    Span,
}

/// Writes fields one after another.
struct Values<'a, 'w> {
    line: Line,
    part: Part,
    writer: &'a mut Writer<'w>,
    outcome: fmt::Result,
}

impl Values<'_, '_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let (name, part) = (field.name(), self.part);
        let wanted = match part {
            Part::Message => name == "message",
            Part::Rest => name != "message",
            Part::Span => !name.contains('.'),
        };
        if wanted && self.outcome.is_ok() {
            self.outcome = self.write_field(name, value);
        }
    }

    fn write_field(&mut self, name: &str, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) -> fmt::Result {
        match (self.part, self.line) {
            (Part::Span, _) => {
                self.writer.write_str(name)?;
                self.writer.write_char(IS)?;
            }
            (Part::Message, Line::Text { .. }) => self.writer.write_char(' ')?,
            _ => self.line.begin_field(self.writer, name)?,
        }
        value(self.writer)?;
        if self.part == Part::Span { self.writer.write_char(END) } else { Ok(()) }
    }

    fn write_text(&mut self, field: &Field, write: impl FnOnce(&mut Escaped<'_, '_>) -> fmt::Result) {
        let quoted = matches!(self.line, Line::Json);
        self.write(field, |writer| {
            if quoted {
                writer.write_char('"')?;
            }
            write(&mut Escaped(writer))?;
            if quoted { writer.write_char('"') } else { Ok(()) }
        });
    }
}

impl Visit for Values<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write_text(field, |text| text.write_str(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON knows no infinity and no NaN.
        if value.is_finite() {
            self.write(field, |writer| write!(writer, "{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write_text(field, |text| write!(text, "{value:?}"));
    }
}

/// Text as it may stand within a string of JSON, so that a line is one line whatever a value holds.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Nearly all there is. Without an end in between it is done for many bytes at once.
        let is_escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        if !text.bytes().fold(false, |any, byte| any | is_escaped(byte)) {
            return self.0.write_str(text);
        }
        let mut plain = 0;
        for (place, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0..=0x1f => "",
                _ => continue,
            };
            self.0.write_str(&text[plain..place])?;
            if escape.is_empty() {
                write!(self.0, "\\u{byte:04x}")?;
            } else {
                self.0.write_str(escape)?;
            }
            plain = place + 1;
        }
        self.0.write_str(&text[plain..])
    }
}

/// The number of the colour in which a terminal shows a level (ECMA-48, SGR).
fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(line: Line, work: impl FnOnce()) -> Vec<String> {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = tracing_subscriber::fmt::layer().fmt_fields(Fields::of(line)).event_format(line);
        let layer = layer.with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let written = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        written.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_holds_the_fields_of_what_it_is_about_and_names_none_twice() {
        let written = lines(Line::Json, || {
            let span =
                tracing::info_span!("request", request_id = "r1", tenant = tracing::field::Empty, http.method = "GET");
            let _inside = span.enter();
            span.record("tenant", "acme");
            tracing::info!(status = 200, ratio = 0.5, ok = true, "answered");
            tracing::warn!(tenant = "globex", "other");
        });
        let line: Value = serde_json::from_str(&written[0]).unwrap();
        assert_eq!(line["message"], "answered");
        assert_eq!((&line["request_id"], &line["tenant"]), (&Value::from("r1"), &Value::from("acme")));
        assert_eq!((&line["status"], &line["ratio"], &line["ok"]), (&200.into(), &0.5.into(), &true.into()));
        assert_eq!(line.get("http.method"), None);
        assert_eq!(written[1].matches("tenant").count(), 1, "{}", written[1]);
        assert!(written[1].contains("globex"));
    }

    #[test]
    fn a_value_cannot_end_its_line() {
        let hostile = "a\"b\\c\n\r\t\u{1}\u{2}\u{1b}[31m ü";
        let work = || {
            let _inside = tracing::info_span!("request", kept = hostile).entered();
            tracing::info!(given = ?hostile, shown = %hostile, "{hostile}");
        };
        let written = lines(Line::Json, work);
        assert_eq!(written.len(), 1);
        let line: Value = serde_json::from_str(&written[0]).unwrap();
        assert_eq!(
            (&line["message"], &line["shown"], &line["kept"]),
            (&hostile.into(), &hostile.into(), &hostile.into())
        );
        let written = lines(Line::Text { colours: false }, work);
        assert_eq!(written.len(), 1);
        assert!(!written[0].contains('\u{1b}'), "{}", written[0]);
    }
}
