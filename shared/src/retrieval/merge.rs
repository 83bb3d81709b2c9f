use std::collections::VecDeque;

use super::select::{Part, Selected};

/// Passages that follow each other have no more than this between them, in characters: the white space at which the text was
/// cut.
const MAX_GAP: u32 = 16;

/// Makes one passage of those that follow each other in a document. It stands where the best of them stood, with its name and
/// its score.
pub(super) fn adjacent(selected: Vec<Selected>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut left = VecDeque::from(selected);
    while let Some(best) = left.pop_front() {
        let mut run = Run::of(best);
        while run.grows(&mut left) {}
        parts.push(run.into_part());
    }
    parts
}

/// Passages that follow each other, in the order of the text.
struct Run {
    before: VecDeque<Selected>,
    best: Selected,
    after: VecDeque<Selected>,
}

impl Run {
    fn of(best: Selected) -> Self {
        Self { before: VecDeque::new(), best, after: VecDeque::new() }
    }

    /// Takes what stands before or after it, if that is there.
    fn grows(&mut self, left: &mut VecDeque<Selected>) -> bool {
        let (first, last) = (self.before.front().unwrap_or(&self.best), self.after.back().unwrap_or(&self.best));
        if let Some(place) = left.iter().position(|next| follows(last, next)) {
            self.after.extend(left.remove(place));
            true
        } else if let Some(place) = left.iter().position(|previous| follows(previous, first)) {
            left.remove(place).into_iter().for_each(|previous| self.before.push_front(previous));
            true
        } else {
            false
        }
    }

    fn into_part(self) -> Part {
        let Self { before, mut best, after } = self;
        if before.is_empty() && after.is_empty() {
            return Part { selected: best, merged: Vec::new() };
        }
        let run: Vec<&Selected> = before.iter().chain([&best]).chain(&after).collect();
        let merged = run.iter().map(|part| part.candidate.chunk.id(part.candidate.document_id)).collect();
        let duplicates = run.iter().flat_map(|part| part.duplicates.clone()).collect();
        let mut whole = run[0].candidate.chunk.clone();
        for part in &run[1..] {
            let chunk = &part.candidate.chunk;
            // What was cut within a paragraph begins with the sentence before it; between others white space is left out.
            let overlap = whole.span_end.saturating_sub(chunk.span_start) as usize;
            let gap = chunk.span_start.saturating_sub(whole.span_end) as usize;
            whole.text.extend(std::iter::repeat_n('\n', gap));
            whole.text.extend(chunk.text.chars().skip(overlap));
            whole.span_end = whole.span_end.max(chunk.span_end);
        }
        whole.chunk_index = best.candidate.chunk.chunk_index;
        best.candidate.chunk = whole;
        best.duplicates = duplicates;
        Part { selected: best, merged }
    }
}

/// Whether the second is the next passage of the same text.
fn follows(first: &Selected, second: &Selected) -> bool {
    let (a, b) = (&first.candidate, &second.candidate);
    a.document_id == b.document_id
        && a.chunk.version == b.chunk.version
        && a.chunk.chunk_index + 1 == b.chunk.chunk_index
        && b.chunk.span_start <= a.chunk.span_end + MAX_GAP
}
