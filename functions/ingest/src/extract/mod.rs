//! Text from files. The bytes decide what a file is; its name only tells Markdown from plain text.

mod docx;
mod encoding;
mod html;
mod markdown;
mod pdf;
mod plain;
mod tidy;

use shared::documents::{ErrorCode, Failure};

/// What a file says, in reading order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Text {
    /// The title the file gives itself.
    pub(crate) title: Option<String>,
    /// Its paragraphs.
    pub(crate) blocks: Vec<Block>,
}

/// A paragraph, heading, list entry or table row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// What it is.
    pub(crate) kind: Kind,
    /// What it says, without line breaks at the edges.
    pub(crate) text: String,
    /// The page it begins on, from 1, where there are pages.
    pub(crate) page: Option<u32>,
}

/// What a [`Block`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A heading, 1 the outermost.
    Heading(u8),
    /// A paragraph of prose.
    Paragraph,
    /// A line that belongs to the one before it: a list entry, a table row.
    Line,
}

/// Reads a file.
pub(crate) fn extract(bytes: &[u8], filename: &str) -> Result<Text, Failure> {
    let text = match infer::get(bytes).map(|kind| kind.mime_type()) {
        Some("application/pdf") => pdf::extract(bytes)?,
        _ if docx::is_docx(bytes) => docx::extract(bytes)?,
        None | Some("text/html" | "text/xml" | "text/x-shellscript") => {
            let text = encoding::decode(bytes).ok_or_else(|| unsupported("binary data"))?;
            if html::is_html(&text) {
                html::extract(&text)
            } else if markdown::is_markdown(filename) {
                markdown::extract(&text)
            } else {
                plain::extract(&text)
            }
        }
        Some(other) => return Err(unsupported(other)),
    };
    let mut text = tidy::tidy(text);
    text.blocks.retain(|block| !block.text.is_empty());
    if text.blocks.iter().any(|block| block.text.chars().any(char::is_alphanumeric)) {
        Ok(text)
    } else {
        Err(no_text())
    }
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
