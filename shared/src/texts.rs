//! The text that was extracted from an original: what the spans of passages count in. It is kept beside the original in pages
//! of so many characters, so that any part of it is found without reading the rest.

use crate::clients::{BlobKey, Blobs};
use crate::error::Error;

/// Characters (Unicode scalar values) of a page.
const PAGE: usize = 100_000;

/// The most characters that are read at once.
pub const MAX_PART: u32 = 100_000;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its first character.
    pub start: u32,
    /// One behind its last.
    pub end: u32,
    /// What it says.
    pub text: String,
    /// Whether the text goes on behind it.
    pub has_more: bool,
}

/// The texts of the documents.
#[derive(Debug, Clone)]
pub struct Texts {
    blobs: Blobs,
}

impl Texts {
    /// The texts in this storage.
    pub fn new(blobs: &Blobs) -> Self {
        Self { blobs: blobs.clone() }
    }

    /// Stores the text of a version. Doing it twice changes nothing.
    pub async fn put(&self, key: &BlobKey, text: &str) -> Result<(), Error> {
        for (number, page) in pages(text).enumerate() {
            self.blobs.put_text(key, number, page.to_owned()).await?;
        }
        Ok(())
    }

    /// The characters from `start` to `end`, exclusive, at most [`MAX_PART`] of them, as far as there are any. `None` if no text
    /// is stored.
    pub async fn part(&self, key: &BlobKey, start: u32, end: u32) -> Result<Option<Part>, Error> {
        let end = end.min(start.saturating_add(MAX_PART)).max(start);
        let (from, to) = (start as usize, end as usize);
        let mut pages = Vec::new();
        // Up to the page of the character behind the last, which tells whether the text goes on.
        for number in from / PAGE..=to / PAGE {
            match self.blobs.text(key, number).await? {
                Some(page) => pages.push(page),
                None => break,
            }
        }
        if pages.is_empty() && self.blobs.text(key, 0).await?.is_none() {
            return Ok(None);
        }
        let mut characters = pages.iter().flat_map(|page| page.chars()).skip(from % PAGE);
        let text: String = characters.by_ref().take(to - from).collect();
        let has_more = characters.next().is_some();
        let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        Ok(Some(Part { start, end: start.saturating_add(length), text, has_more }))
    }
}

/// A text in pages, all but the last of them full. There is always one.
fn pages(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.char_indices().nth(PAGE).map_or(text.len(), |(at, _)| at);
        let (page, behind) = text.split_at(end);
        rest = Some(behind).filter(|behind| !behind.is_empty());
        Some(page)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Builder;
    use crate::config::Variables;

    #[tokio::test]
    async fn any_part_of_a_text_is_found_across_its_pages() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        let blobs = Builder::new(Variables::from_pairs([("BLOBS_URL", url)])).await.unwrap().blobs().unwrap();
        let texts = Texts::new(&blobs);
        let document = "01J9ZQ3W6V8Y0ABCDEFGHJKMNP".parse().unwrap();
        let key = BlobKey { tenant: "acme".parse().unwrap(), document, version: 1 };
        assert_eq!(texts.part(&key, 0, 10).await.unwrap(), None);

        let whole: Vec<char> = "Ente 🦆 ".chars().cycle().take(2 * PAGE + 10).collect();
        texts.put(&key, &whole.iter().collect::<String>()).await.unwrap();
        let length = u32::try_from(whole.len()).unwrap();
        let page = u32::try_from(PAGE).unwrap();
        for (start, end) in [
            (0, 5),
            (0, page),
            (page - 3, page + 3),
            (page, page),
            (page, 2 * page),
            (length - 4, length),
            (length - 4, length + 100),
            (length + 5, length + 9),
            (3 * page, 3 * page + 5),
            (7, u32::MAX),
        ] {
            let part = texts.part(&key, start, end).await.unwrap().unwrap();
            let last = end.min(start + MAX_PART).min(length).max(start);
            let expected: String = whole.iter().take(last as usize).skip(start as usize).collect();
            assert_eq!((part.text, part.has_more), (expected, last < length), "{start}..{end}");
            assert_eq!((part.start, part.end), (start, last), "{start}..{end}");
        }
    }
}
