//! Phrases in quotation marks.

/// What is in quotation marks in a query, without them. A mark within a word, as of inches, is none.
pub(super) fn quoted(query: &str) -> Vec<&str> {
    let (mut phrases, mut from) = (Vec::new(), 0);
    while let Some((start, closing)) = opening(query, from) {
        let Some(end) = closes(query, start, closing) else {
            from = start;
            continue;
        };
        phrases.push(&query[start..end]);
        from = end + closing[0].len_utf8();
    }
    phrases
}

/// Where the text behind the next opening mark begins, and what closes it.
fn opening(query: &str, from: usize) -> Option<(usize, &'static [char])> {
    query[from..].char_indices().find_map(|(at, c)| {
        let at = from + at;
        let is_free = query[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        let closing: &[char] = match c {
            '"' if is_free => &['"'],
            '“' | '”' if is_free => &['”', '“'],
            '„' => &['“', '”'],
            '«' => &['»'],
            '»' if is_free => &['«'],
            '「' => &['」'],
            '『' => &['』'],
            _ => return None,
        };
        Some((at + c.len_utf8(), closing))
    })
}

/// Where the mark is that closes what begins at `start`.
fn closes(query: &str, start: usize, closing: &[char]) -> Option<usize> {
    query[start..].char_indices().filter(|(_, c)| closing.contains(c)).map(|(at, c)| (start + at, c)).find_map(
        |(at, c)| {
            // Chinese and Japanese go on without a space.
            let is_paired = matches!(c, '」' | '』' | '»');
            let after = query[at + c.len_utf8()..].chars().next();
            (is_paired || after.is_none_or(|after| !after.is_alphanumeric())).then_some(at)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn phrases_stand_in_quotation_marks_of_many_kinds() {
        assert_eq!(quoted(r#"what is "heat transfer" in "slip flow"?"#), ["heat transfer", "slip flow"]);
        assert_eq!(
            quoted("„große Ente“ und «petit canard» und “big duck”"),
            ["große Ente", "petit canard", "big duck"]
        );
        assert_eq!(quoted("「東京都」の鴨"), ["東京都"]);
    }

    #[test]
    fn what_is_no_phrase_is_none() {
        for query in [r#"a 5" pipe and a 3" pipe"#, r#"an "unclosed one"#, "don't 'quote' me", "", "\"", "「"] {
            assert!(quoted(query).is_empty(), "{query}");
        }
        assert_eq!(quoted(r#""" and "x""#), ["", "x"]);
    }
}
