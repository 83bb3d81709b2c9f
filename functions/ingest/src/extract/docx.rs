use shared::documents::Failure;
use undoc::Error;
use undoc::detect::{FormatType, detect_format_from_bytes, is_zip_file};
use undoc::render::{RenderOptions, to_markdown};

use super::{corrupt, encrypted, markdown};
use crate::text::Text;

/// Whether the bytes are a word processor's file. Its parts may lie in any order, so its directory is asked.
pub(super) fn is_docx(bytes: &[u8]) -> bool {
    is_zip_file(bytes) && matches!(detect_format_from_bytes(bytes), Ok(FormatType::Docx))
}

/// A word processor's file by way of Markdown, which keeps headings, lists, table rows and footnotes.
pub(super) fn extract(bytes: &[u8]) -> Result<Text, Failure> {
    let fail = |error: Error| match error {
        Error::Encrypted => encrypted(),
        _ => corrupt(),
    };
    let document = undoc::parse_bytes(bytes).map_err(fail)?;
    let markdown = to_markdown(&document, &RenderOptions::default()).map_err(fail)?;
    let mut text = markdown::extract(&markdown)?;
    text.entitle(document.metadata.title.as_deref().unwrap_or_default());
    Ok(text)
}
