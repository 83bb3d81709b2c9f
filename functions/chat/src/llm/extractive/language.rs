use std::collections::HashSet;
use std::fmt;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// A language that questions are asked in.
pub(super) struct Language {
    known: &'static Known,
    common: HashSet<&'static str>,
    stemmer: Stemmer,
}

/// What is known of a language.
struct Known {
    /// ISO 639-1.
    code: &'static str,
    algorithm: Algorithm,
    /// Words that questions are asked with, beside those that stand in every text.
    asking: &'static [&'static str],
    /// Words that say what something is.
    defining: &'static [&'static str],
    nothing: &'static str,
    /// What stands in front of a quotation from a document, around it, and between its quotation marks.
    quote: fn(&str, &str) -> String,
}

/// English first: it is the language of what fits none.
static LANGUAGES: [Known; 7] = [
    Known {
        code: "en",
        algorithm: Algorithm::English,
        asking: &[
            "called",
            "call",
            "document",
            "documents",
            "exactly",
            "find",
            "give",
            "go",
            "know",
            "long",
            "many",
            "mean",
            "means",
            "much",
            "name",
            "often",
            "please",
            "really",
            "say",
            "says",
            "stand",
            "stands",
            "tell",
            "text",
            "want",
        ],
        defining: &[" is a ", " is an ", " are ", " is called ", " means ", " refers to ", " is defined "],
        nothing: "The documents say nothing about this.",
        quote: |name, text| format!("{name} says: “{text}”."),
    },
    Known {
        code: "de",
        algorithm: Algorithm::German,
        asking: &[
            "bedeutet",
            "besagt",
            "bitte",
            "dokument",
            "dokumente",
            "dokumenten",
            "genau",
            "genannt",
            "gibt",
            "heißen",
            "heißt",
            "lautet",
            "man",
            "nennt",
            "sagen",
            "sagt",
            "steht",
            "text",
            "viel",
            "viele",
            "wann",
            "warum",
            "wer",
            "wird",
            "wo",
            "wurde",
        ],
        defining: &[" heißt ", " nennt man ", " bezeichnet "],
        nothing: "Die Dokumente sagen dazu nichts.",
        quote: |name, text| format!("In {name} steht: „{text}“."),
    },
    Known {
        code: "fr",
        algorithm: Algorithm::French,
        asking: &[
            "appelle",
            "combien",
            "comment",
            "dit",
            "document",
            "documents",
            "où",
            "quand",
            "quel",
            "quelle",
            "qui",
            "signifie",
        ],
        defining: &[" est un ", " est une ", " signifie "],
        nothing: "Les documents n’en disent rien.",
        quote: |name, text| format!("{name} indique : « {text} »."),
    },
    Known {
        code: "es",
        algorithm: Algorithm::Spanish,
        asking: &[
            "cuál",
            "cuándo",
            "cuánto",
            "cuántos",
            "cómo",
            "dice",
            "documento",
            "documentos",
            "dónde",
            "llama",
            "significa",
        ],
        defining: &[" es un ", " es una ", " significa "],
        nothing: "Los documentos no dicen nada al respecto.",
        quote: |name, text| format!("{name} dice: «{text}»."),
    },
    Known {
        code: "it",
        algorithm: Algorithm::Italian,
        asking: &[
            "chiama",
            "come",
            "dice",
            "documenti",
            "documento",
            "dove",
            "quando",
            "quanto",
            "quanti",
            "significa",
        ],
        defining: &[" è un ", " è una ", " significa "],
        nothing: "I documenti non ne dicono nulla.",
        quote: |name, text| format!("{name} dice: «{text}»."),
    },
    Known {
        code: "pt",
        algorithm: Algorithm::Portuguese,
        asking: &[
            "chama",
            "como",
            "diz",
            "documento",
            "documentos",
            "onde",
            "quando",
            "quanto",
            "quantos",
            "significa",
        ],
        defining: &[" é um ", " é uma ", " significa "],
        nothing: "Os documentos não dizem nada sobre isso.",
        quote: |name, text| format!("{name} diz: «{text}»."),
    },
    Known {
        code: "nl",
        algorithm: Algorithm::Dutch,
        asking: &["betekent", "document", "documenten", "heet", "hoeveel", "wanneer", "waar", "welke", "zegt"],
        defining: &[" is een ", " heet ", " betekent "],
        nothing: "De documenten zeggen hier niets over.",
        quote: |name, text| format!("In {name} staat: “{text}”."),
    },
];

impl Language {
    /// The one with most of a question's common words.
    pub(super) fn of(question: &str) -> Self {
        let words = split(question);
        let count = |known: &Known| {
            let common = common(known);
            words.iter().filter(|word| common.contains(word.as_str())).count()
        };
        let best = LANGUAGES.iter().rev().max_by_key(|known| count(known)).unwrap_or(&LANGUAGES[0]);
        Self { known: best, common: common(best), stemmer: Stemmer::create(best.algorithm) }
    }

    /// The words of a text that tell something of it, as they are compared.
    pub(super) fn words(&self, text: &str) -> HashSet<String> {
        let telling = split(text).into_iter().filter(|word| !self.common.contains(word.as_str()));
        telling.map(|word| self.stemmer.stem(&word).into_owned()).collect()
    }

    /// Whether a statement says what something is.
    pub(super) fn defines(&self, statement: &str) -> bool {
        self.known.defining.iter().any(|words| statement.contains(words))
    }

    /// That the documents say nothing.
    pub(super) fn nothing(&self) -> &'static str {
        self.known.nothing
    }

    /// A sentence that quotes what is none.
    pub(super) fn quote(&self, name: &str, text: &str) -> String {
        (self.known.quote)(name, text)
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.known.code)
    }
}

/// Words that tell nothing.
fn common(known: &Known) -> HashSet<&'static str> {
    let common = stop_words::lookup(known.code).unwrap_or_default();
    common.iter().chain(known.asking).copied().collect()
}

fn split(text: &str) -> Vec<String> {
    text.nfkc().collect::<String>().to_lowercase().unicode_words().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_question_is_seen_by_its_common_words() {
        for (question, code) in [
            ("What do ducks eat?", "en"),
            ("E4821", "en"),
            ("Was ist ein topologischer Raum?", "de"),
            ("Wie hoch ist die Mehrwertsteuer?", "de"),
            ("Que mangent les canards dans la nature ?", "fr"),
            ("¿Qué comen los patos en el agua?", "es"),
            ("Che cosa mangiano le anatre?", "it"),
            ("Wat eten de eenden?", "nl"),
        ] {
            assert_eq!(format!("{:?}", Language::of(question)), code, "{question}");
        }
    }

    #[test]
    fn words_are_compared_by_their_stems_in_their_language() {
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<HashSet<_>>();
        assert_eq!(Language::of("What do the ducks eat?").words("What do the ducks eat?"), set(&["duck", "eat"]));
        let german = Language::of("Wann heißt ein Raum kompakt?");
        assert_eq!(german.words("Wann heißen die Räume kompakte Räume?"), german.words("Ein Raum ist kompakt."));
    }
}
