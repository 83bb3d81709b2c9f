use shared::documents::Failure;
use undoc::Error;
use undoc::docx::DocxParser;
use undoc::render::{RenderOptions, to_markdown};

use super::archive::Archive;
use super::{corrupt, encrypted, markdown};
use crate::text::Text;

/// A word processor's file by way of Markdown, which keeps headings, lists, table rows and footnotes.
pub(super) fn extract(bytes: Vec<u8>) -> Result<Text, Failure> {
    // Only to have its directory checked: the parser opens it by itself.
    Archive::open(&bytes)?;
    let fail = |error: Error| match error {
        Error::Encrypted => encrypted(),
        _ => corrupt(),
    };
    let document = DocxParser::from_bytes(bytes).and_then(|mut parser| parser.parse()).map_err(fail)?;
    let markdown = to_markdown(&document, &RenderOptions::default()).map_err(fail)?;
    let mut text = markdown::extract(&markdown)?;
    text.entitle(document.metadata.title.as_deref().unwrap_or_default());
    Ok(text)
}
