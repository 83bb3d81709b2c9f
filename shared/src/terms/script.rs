/// How the words of a script are told apart and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// Latin letters, and those that need no more than to be folded in case; digits, and whatever is no letter.
    Spaced,
    Arabic,
    Cyrillic,
    Greek,
    /// Chinese characters: no spaces between words.
    Han,
    Hiragana,
    Katakana,
    Hangul,
    /// The scripts of South-East Asia that have no spaces between words.
    SouthEastAsian,
}

impl Script {
    /// That of a character.
    pub(crate) fn of(c: char) -> Self {
        match u32::from(c) {
            0x0370..=0x03FF | 0x1F00..=0x1FFF => Self::Greek,
            0x0400..=0x052F => Self::Cyrillic,
            0x0600..=0x06FF | 0x0750..=0x077F | 0x08A0..=0x08FF => Self::Arabic,
            0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF => Self::SouthEastAsian,
            0x3041..=0x309F => Self::Hiragana,
            // Not the point between words.
            0x30A1..=0x30FA | 0x30FC..=0x30FF | 0x31F0..=0x31FF => Self::Katakana,
            0x3005..=0x3007 | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF => Self::Han,
            0x1100..=0x11FF | 0x3130..=0x318F | 0xAC00..=0xD7AF => Self::Hangul,
            _ => Self::Spaced,
        }
    }

    /// Whether its words are known by pairs of characters. Korean has spaces, but joins particles to its words.
    pub(crate) fn has_pairs(self) -> bool {
        matches!(self, Self::Han | Self::Hiragana | Self::Katakana | Self::Hangul | Self::SouthEastAsian)
    }
}

/// The parts of a text by script.
pub(super) fn stretches(text: &str) -> impl Iterator<Item = (Script, &str)> {
    divided(text, |first, next| first == next)
}

/// The parts of a text by whether its words are known by pairs of characters.
pub(crate) fn paired(text: &str) -> impl Iterator<Item = (bool, &str)> {
    // Most texts are seen to have none at a glance: such characters begin with other bytes in UTF-8.
    let is_spaced = text.bytes().all(|byte| byte < 0xE0 || byte == 0xE2);
    let (spaced, other) = if is_spaced { (text, "") } else { ("", text) };
    let others = divided(other, |first, next| first.has_pairs() == next.has_pairs());
    let others = others.map(|(script, part)| (script.has_pairs(), part));
    (!spaced.is_empty()).then_some((false, spaced)).into_iter().chain(others)
}

fn divided(text: &str, is_same: impl Fn(Script, Script) -> bool) -> impl Iterator<Item = (Script, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = Script::of(rest.chars().next()?);
        let end = rest.find(|c| !is_same(first, Script::of(c))).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some((first, part))
    })
}

/// The pairs of neighbouring characters, or the one that there is.
pub(crate) fn pairs(stretch: &str) -> impl Iterator<Item = &str> {
    let ends: Vec<usize> = stretch.char_indices().map(|(at, _)| at).chain([stretch.len()]).collect();
    let width = if ends.len() > 2 { 2 } else { 1 };
    let places: Vec<_> = ends.windows(width + 1).map(|places| places[0]..places[width]).collect();
    places.into_iter().map(move |place| &stretch[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_falls_apart_where_the_script_changes() {
        let parts: Vec<_> = stretches("iPhone用アプリを").map(|(_, part)| part).collect();
        assert_eq!(parts, ["iPhone", "用", "アプリ", "を"]);
        let parts: Vec<_> = paired("v2は鴨を食べる。").collect();
        assert_eq!(parts, [(false, "v2"), (true, "は鴨を食べる"), (false, "。")]);
        assert_eq!(stretches("").count(), 0);
        for c in ('\0'..=char::MAX).filter(|c| Script::of(*c).has_pairs()) {
            assert_eq!(paired(c.encode_utf8(&mut [0; 4])).next().map(|(has_pairs, _)| has_pairs), Some(true), "{c:?}");
        }
    }

    #[test]
    fn one_character_is_a_pair_by_itself() {
        assert_eq!(pairs("東京都").collect::<Vec<_>>(), ["東京", "京都"]);
        assert_eq!(pairs("鴨").collect::<Vec<_>>(), ["鴨"]);
        assert_eq!(pairs("").count(), 0);
    }
}
