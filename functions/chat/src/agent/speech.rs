//! What an answer says, as it is said.

use super::citations::{Markers, Resolved};
use super::turn::Said;
use crate::event::Event;
use crate::tools::Sources;

/// The longest answer, in bytes. With all that belongs to it, it is stored in one item of the database, which holds 400 kB: what is
/// found for it, what a model writes into its calls, and its citations have bounds of their own.
const MAX_ANSWER: usize = 64 * 1024;
/// A turn that writes more bytes than this for each of its tokens does not keep to its limit.
const TOKEN: usize = 16;

/// What was said so far, in all turns.
#[derive(Debug, Default)]
pub(super) struct Speech {
    markers: Markers,
    bytes: usize,
    has_words: bool,
}

impl Speech {
    /// What may be said of a piece of a turn, and whether the turn may go on.
    pub(super) fn say(
        &mut self,
        text: &str,
        said: &mut Said,
        max_tokens: u32,
        sources: &Sources,
    ) -> (Vec<Event>, bool) {
        if text.is_empty() {
            return (Vec::new(), true);
        }
        // What an earlier turn said is a paragraph of its own.
        let gap = if said.text.is_empty() && self.bytes > 0 { "\n\n" } else { "" };
        let room = MAX_ANSWER.saturating_sub(self.bytes + gap.len());
        let fits = &text[..text.floor_char_boundary(room)];
        said.text.push_str(fits);
        let resolved = self.markers.push(&format!("{gap}{fits}"), sources);
        let more = fits.len() == text.len() && said.text.len() <= TOKEN * max_tokens as usize;
        (self.events(resolved), more)
    }

    /// What was held back at the end of a turn.
    pub(super) fn pause(&mut self) -> Vec<Event> {
        let resolved = self.markers.finish();
        self.events(resolved)
    }

    /// Whether nothing was said.
    pub(super) fn is_blank(&self) -> bool {
        !self.has_words
    }

    fn events(&mut self, Resolved { text, citations }: Resolved) -> Vec<Event> {
        self.bytes += text.len();
        self.has_words |= !text.trim().is_empty();
        let delta = (!text.is_empty()).then_some(Event::Delta { text });
        delta.into_iter().chain(citations.into_iter().map(Event::Citation)).collect()
    }
}
