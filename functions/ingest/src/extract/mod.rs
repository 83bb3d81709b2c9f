//! Text from files. The bytes decide what a file is; its name only tells Markdown from plain text.

mod docx;
mod encoding;
mod html;
mod markdown;
mod pdf;
mod plain;
pub(crate) mod tidy;

use shared::documents::{ErrorCode, Failure};

use crate::text::Text;

/// Reads a file.
pub(crate) fn extract(bytes: Vec<u8>, filename: &str) -> Result<Text, Failure> {
    let text = match infer::get(&bytes).map(|kind| kind.mime_type()) {
        Some("application/pdf") => pdf::extract(&bytes)?,
        _ if docx::is_docx(&bytes) => docx::extract(&bytes)?,
        None | Some("text/html" | "text/xml" | "text/x-shellscript") => {
            let text = encoding::decode(&bytes).ok_or_else(|| unsupported("binary data"))?;
            if html::is_html(&text) {
                html::extract(&text)?
            } else if markdown::is_markdown(filename) {
                markdown::extract(&text)?
            } else {
                plain::extract(&text)?
            }
        }
        Some(other) => return Err(unsupported(other)),
    };
    if text.is_readable() { Ok(text) } else { Err(no_text()) }
}

fn unsupported(kind: &str) -> Failure {
    Failure {
        code: ErrorCode::UnsupportedType,
        detail: format!("The file is {kind}; PDF, DOCX, HTML, Markdown and plain text can be read."),
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
