use serde::Deserialize;
use shared::clients::BlobKey;
use shared::documents::Document;
use shared::retrieval::{Passage, Span};
use shared::tenancy::DocumentId;
use utoipa::ToSchema;

use super::{Failure, Findings, NO_DOCUMENT, Tool, Toolbox, arguments};

pub(super) const NAME: &str = "read_document";

pub(super) const TOOL: Tool = Tool {
    name: NAME,
    description: "Reads a part of a document, for what stands around a passage or for a document as a whole. Passages say which \
        characters of their document they are.",
    parameters: arguments::schema::<ReadDocument>,
};

/// What was read is cited in pieces of about so many characters.
const PIECE: usize = 1_200;
/// Characters of a token, roughly.
const CHARACTERS: usize = 4;

/// What to read.
#[derive(Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadDocument {
    /// The document, as passages and `list_documents` name it.
    #[schema(inline)]
    document_id: DocumentId,
    /// The first character, from 0.
    #[serde(default)]
    #[schema(default = 0)]
    start: Option<u32>,
    /// One behind the last character. As much as fits, if left out.
    #[serde(default)]
    end: Option<u32>,
}

impl Toolbox {
    pub(super) async fn read_document(&self, asked: ReadDocument) -> Result<Findings, Failure> {
        let start = asked.start.unwrap_or(0);
        if asked.end.is_some_and(|end| end <= start) {
            return Err(Failure::Wrong("end must be greater than start.".to_owned()));
        }
        let tenant = &self.scope.principal().tenant;
        let none = || Failure::Wrong(NO_DOCUMENT.to_owned());
        let document = self.documents.find(tenant, asked.document_id).await?;
        let document = document.filter(|document| self.scope.holds(document)).ok_or_else(none)?;
        let version = document.served_version.ok_or_else(none)?;
        let most = u32::try_from(self.result_tokens.saturating_mul(CHARACTERS)).unwrap_or(u32::MAX);
        let end = asked.end.unwrap_or(u32::MAX).min(start.saturating_add(most));
        let key = BlobKey { tenant: tenant.clone(), document: document.id, version };
        let part = self.texts.part(&key, start, end).await?.ok_or_else(none)?;
        let note = if part.text.is_empty() {
            format!("The document has no character {start}; it ends before.")
        } else if part.has_more {
            format!("The document goes on at character {}.", part.end)
        } else {
            "This is the end of the document.".to_owned()
        };
        Ok(Findings { passages: pieces(&document, version, part.start, &part.text), note, ..Findings::default() })
    }
}

/// The text in pieces that end where lines do, each a passage of its own.
fn pieces(document: &Document, version: u32, start: u32, text: &str) -> Vec<Passage> {
    let (mut pieces, mut piece, mut at) = (Vec::new(), String::new(), start);
    let mut lines = text.split_inclusive('\n').flat_map(shortened).peekable();
    while let Some(line) = lines.next() {
        piece.push_str(&line);
        let long = piece.chars().count() + lines.peek().map_or(PIECE, |next| next.chars().count()) > PIECE;
        if long || lines.peek().is_none() {
            let end = at.saturating_add(u32::try_from(piece.chars().count()).unwrap_or(u32::MAX));
            if !piece.trim().is_empty() {
                pieces.push(passage(document, version, Span { start: at, end }, std::mem::take(&mut piece)));
            }
            piece.clear();
            at = end;
        }
    }
    pieces
}

/// A line in parts that are no longer than a piece.
fn shortened(line: &str) -> impl Iterator<Item = String> {
    let characters: Vec<char> = line.chars().collect();
    characters.chunks(PIECE).map(String::from_iter).collect::<Vec<_>>().into_iter()
}

fn passage(document: &Document, version: u32, span: Span, text: String) -> Passage {
    Passage {
        chunk_id: format!("{}-{version}-{}..{}", document.id, span.start, span.end),
        document_id: document.id,
        filename: document.filename.clone(),
        collection: document.collection.clone(),
        page: None,
        heading: None,
        span,
        text,
        score: 1.0,
    }
}
