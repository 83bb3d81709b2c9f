use shared::language::Language;
use whatlang::{Detector, Lang};

/// So many characters of a text are enough to tell its language.
const ENOUGH: usize = 10_000;

/// The language that most of a text is in; `None` if that cannot be told, as of tables and code.
pub(crate) fn of(text: &str) -> Option<Language> {
    // From its middle: the beginning may be a title page or a table of contents.
    let start = text.floor_char_boundary(text.len().saturating_sub(ENOUGH) / 2);
    let end = text.floor_char_boundary(start.saturating_add(ENOUGH).min(text.len()));
    let found = Detector::new().detect(&text[start..end])?;
    found.is_reliable().then(|| Language::new(code(found.lang())))
}

/// The code after BCP 47, which is the shortest that there is.
fn code(language: Lang) -> &'static str {
    match language {
        Lang::Afr => "af",
        Lang::Aka => "ak",
        Lang::Amh => "am",
        Lang::Ara => "ar",
        Lang::Aze => "az",
        Lang::Bel => "be",
        Lang::Ben => "bn",
        Lang::Bul => "bg",
        Lang::Cat => "ca",
        Lang::Ces => "cs",
        Lang::Cmn => "zh",
        Lang::Cym => "cy",
        Lang::Dan => "da",
        Lang::Deu => "de",
        Lang::Ell => "el",
        Lang::Eng => "en",
        Lang::Epo => "eo",
        Lang::Est => "et",
        Lang::Fin => "fi",
        Lang::Fra => "fr",
        Lang::Guj => "gu",
        Lang::Heb => "he",
        Lang::Hin => "hi",
        Lang::Hrv => "hr",
        Lang::Hun => "hu",
        Lang::Hye => "hy",
        Lang::Ind => "id",
        Lang::Ita => "it",
        Lang::Jav => "jv",
        Lang::Jpn => "ja",
        Lang::Kan => "kn",
        Lang::Kat => "ka",
        Lang::Khm => "km",
        Lang::Kor => "ko",
        Lang::Lat => "la",
        Lang::Lav => "lv",
        Lang::Lit => "lt",
        Lang::Mal => "ml",
        Lang::Mar => "mr",
        Lang::Mkd => "mk",
        Lang::Mya => "my",
        Lang::Nep => "ne",
        Lang::Nld => "nl",
        Lang::Nob => "nb",
        Lang::Ori => "or",
        Lang::Pan => "pa",
        Lang::Pes => "fa",
        Lang::Pol => "pl",
        Lang::Por => "pt",
        Lang::Ron => "ro",
        Lang::Rus => "ru",
        Lang::Sin => "si",
        Lang::Slk => "sk",
        Lang::Slv => "sl",
        Lang::Sna => "sn",
        Lang::Spa => "es",
        Lang::Srp => "sr",
        Lang::Swe => "sv",
        Lang::Tam => "ta",
        Lang::Tel => "te",
        Lang::Tgl => "tl",
        Lang::Tha => "th",
        Lang::Tuk => "tk",
        Lang::Tur => "tr",
        Lang::Ukr => "uk",
        Lang::Urd => "ur",
        Lang::Uzb => "uz",
        Lang::Vie => "vi",
        Lang::Yid => "yi",
        Lang::Zul => "zu",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(text: &str) -> Option<String> {
        of(text).map(|language| language.code().to_owned())
    }

    #[test]
    fn a_few_sentences_tell_a_language() {
        for (code, text) in [
            ("en", "Ducks are birds that live on lakes and rivers, and most of what they eat grows there."),
            ("de", "Enten sind Vögel, die auf Seen und Flüssen leben, und das meiste, was sie fressen, wächst dort."),
            ("fr", "Les canards sont des oiseaux qui vivent sur les lacs, et ce qu'ils mangent y pousse aussi."),
            ("ru", "Утки живут на озёрах и реках, и почти всё, что они едят, растёт там же."),
            ("ar", "البط طيور تعيش على البحيرات والأنهار، ومعظم ما تأكله ينمو هناك."),
            ("ja", "カモは湖や川に住む鳥で、食べるもののほとんどはそこで育ちます。"),
            ("zh", "鸭子是生活在湖泊和河流上的鸟类，它们吃的大部分东西都生长在那里。"),
        ] {
            assert_eq!(code_of(text).as_deref(), Some(code));
            // Wherever in a long text.
            let long = format!("{}{}", "1234 | 5678\n".repeat(3), text.repeat(500));
            assert_eq!(code_of(&long).as_deref(), Some(code));
        }
    }

    #[test]
    fn what_is_no_language_has_none() {
        for text in ["", "4821", "12 | 34 | 56\n78 | 90 | 12", "A1-B2"] {
            assert_eq!(code_of(text), None, "{text}");
        }
    }
}
