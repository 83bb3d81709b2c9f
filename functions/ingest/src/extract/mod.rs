//! Text from files. The bytes decide what a file is; its name only tells what they leave open: Markdown from plain text,
//! and a table from a text with commas.

mod archive;
mod csv;
mod docx;
mod eml;
mod encoding;
mod html;
mod markdown;
mod pdf;
mod plain;
mod pptx;
mod table;
pub(crate) mod tidy;
mod xlsx;

use std::borrow::Cow;

use shared::documents::{ErrorCode, Failure};
use undoc::Error;
use undoc::detect::{FormatType, detect_format_from_bytes};

use crate::text::Text;

/// Reads a file.
pub(crate) fn extract(bytes: Vec<u8>, filename: &str) -> Result<Text, Failure> {
    read(Cow::Owned(bytes), filename, 0)
}

/// Reads a file that is so deep in others.
fn read(bytes: Cow<'_, [u8]>, filename: &str, depth: u8) -> Result<Text, Failure> {
    let kind = infer::get(&bytes).map(|kind| kind.mime_type());
    let text = match (kind, detect_format_from_bytes(&bytes)) {
        (Some("application/pdf"), _) => pdf::extract(&bytes)?,
        (_, Ok(FormatType::Docx)) => docx::extract(bytes.into_owned())?,
        (_, Ok(FormatType::Pptx)) => pptx::extract(&bytes)?,
        (_, Ok(FormatType::Xlsx)) => xlsx::extract(&bytes)?,
        (_, Err(Error::Encrypted)) => return Err(encrypted()),
        // Text of which a person would not want to read most.
        (Some(kind @ ("application/rtf" | "application/postscript")), _) => return Err(unsupported(kind)),
        _ if eml::is_message(&bytes) => eml::extract(&bytes, depth)?,
        // A few letters at the beginning of a text may be the mark of something else, so all of it decides.
        (kind, _) => match encoding::decode(bytes.into_owned()) {
            Some(text) => written(&text, filename)?,
            None => return Err(unsupported(kind.unwrap_or("binary data"))),
        },
    };
    if text.is_readable() { Ok(text) } else { Err(no_text()) }
}

/// Reads what is text already.
fn written(text: &str, filename: &str) -> Result<Text, Failure> {
    if html::is_html(text) {
        html::extract(text)
    } else if markdown::is_markdown(filename) {
        markdown::extract(text)
    } else if let Some(delimiter) = csv::delimiter(text, filename) {
        csv::extract(text, delimiter)
    } else {
        plain::extract(text)
    }
}

fn unsupported(kind: &str) -> Failure {
    Failure {
        code: ErrorCode::UnsupportedType,
        detail: format!(
            "The file is {kind}; PDF, DOCX, PPTX, XLSX, CSV, HTML, Markdown, e-mail (EML) and plain text can be read."
        ),
    }
}

/// The failure of a file with nothing to read in it.
pub(crate) fn no_text() -> Failure {
    Failure {
        code: ErrorCode::NoText,
        detail: "The file has no text; if it is a scan, run text recognition on it first.".into(),
    }
}

fn encrypted() -> Failure {
    Failure {
        code: ErrorCode::Encrypted,
        detail: "The file is protected by a password; upload a copy without one.".into(),
    }
}

fn corrupt() -> Failure {
    Failure {
        code: ErrorCode::Corrupt,
        detail: "The file is damaged or incomplete; open it and save it again, then upload that.".into(),
    }
}
