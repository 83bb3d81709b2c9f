/// How the words of a script are told apart and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// Latin letters, and those that need no more than to be folded in case; digits.
    Spaced,
    Arabic,
    Cyrillic,
    Greek,
    /// Chinese characters and the like: no spaces between words.
    Han,
    Hiragana,
    Katakana,
    Hangul,
    /// The scripts of South-East Asia that have no spaces between words.
    SouthEastAsian,
}

impl Script {
    /// That of a character of a word.
    pub(crate) fn of(c: char) -> Self {
        match u32::from(c) {
            0x0370..=0x03FF | 0x1F00..=0x1FFF => Self::Greek,
            0x0400..=0x052F => Self::Cyrillic,
            0x0600..=0x06FF | 0x0750..=0x077F | 0x08A0..=0x08FF => Self::Arabic,
            0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF => Self::SouthEastAsian,
            0x3041..=0x309F => Self::Hiragana,
            0x30A0..=0x30FF | 0x31F0..=0x31FF => Self::Katakana,
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

/// The parts of a word by script; scripts whose words have spaces between them are not told apart.
pub(crate) fn stretches(word: &str) -> impl Iterator<Item = (Script, &str)> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = Script::of(rest.chars().next()?);
        let same = |script: Script| script == first || !script.has_pairs() && !first.has_pairs();
        let end = rest.find(|c| !same(Script::of(c))).unwrap_or(rest.len());
        let (stretch, after) = rest.split_at(end);
        rest = after;
        Some((first, stretch))
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
    fn a_word_falls_apart_where_the_script_changes() {
        let parts: Vec<_> = stretches("iPhone用アプリв2").map(|(_, part)| part).collect();
        assert_eq!(parts, ["iPhone", "用", "アプリ", "в2"]);
        assert_eq!(stretches("").count(), 0);
    }

    #[test]
    fn one_character_is_a_pair_by_itself() {
        assert_eq!(pairs("東京都").collect::<Vec<_>>(), ["東京", "京都"]);
        assert_eq!(pairs("鴨").collect::<Vec<_>>(), ["鴨"]);
        assert_eq!(pairs("").count(), 0);
    }
}
