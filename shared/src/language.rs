//! The language of a document, by which its words are compared.

use rust_stemmers::Algorithm;
use serde::{Deserialize, Serialize};

/// A language, by its code after BCP 47: `de`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Language(String);

impl Language {
    /// The language with this code.
    pub fn new(code: impl Into<String>) -> Self {
        Self(code.into())
    }

    /// Its code.
    pub fn code(&self) -> &str {
        &self.0
    }

    /// What takes the endings off its words, where that is known.
    pub(crate) fn stemmer(&self) -> Option<Algorithm> {
        Some(match self.code() {
            "ar" => Algorithm::Arabic,
            "da" => Algorithm::Danish,
            "de" => Algorithm::German,
            "el" => Algorithm::Greek,
            "en" => Algorithm::English,
            "es" => Algorithm::Spanish,
            "fi" => Algorithm::Finnish,
            "fr" => Algorithm::French,
            "hu" => Algorithm::Hungarian,
            "it" => Algorithm::Italian,
            "nb" | "nn" | "no" => Algorithm::Norwegian,
            "nl" => Algorithm::Dutch,
            "pt" => Algorithm::Portuguese,
            "ro" => Algorithm::Romanian,
            "ru" => Algorithm::Russian,
            "sv" => Algorithm::Swedish,
            "ta" => Algorithm::Tamil,
            "tr" => Algorithm::Turkish,
            _ => return None,
        })
    }

    /// Words that stand in every text of it and so tell nothing about any, in lower case; none where they are not known.
    pub(crate) fn stop_words(&self) -> &'static [&'static str] {
        let code = match self.code() {
            "nb" | "nn" => "no",
            code => code,
        };
        stop_words::lookup(code).unwrap_or_default()
    }
}

impl Default for Language {
    /// English, as which texts are read whose language is not known.
    fn default() -> Self {
        Self::new("en")
    }
}
