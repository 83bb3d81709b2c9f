use super::{ConfigError, Variables};

/// How passages are found and ranked.
#[derive(Debug, Clone, Copy)]
pub struct SearchConfig {
    /// `SEARCH_LEXICAL_WEIGHT`: the share of the words' score in the fused score; the vectors' is the rest (0.45).
    pub lexical_weight: f32,
    /// `SEARCH_EXACT_TERMS`: whether uncommon words of a query are looked up (true).
    pub exact_terms: bool,
    /// `SEARCH_SCORED_PASSAGES`: the most passages that a filtered search compares with the query one by one, where the vector
    /// index finds too few that pass the filter (2,000).
    pub scored_passages: usize,
}

impl SearchConfig {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let scored = variables.number("SEARCH_SCORED_PASSAGES", 2_000, 0..=20_000)?;
        Ok(Self {
            lexical_weight: variables.fraction("SEARCH_LEXICAL_WEIGHT", 0.45)?,
            exact_terms: variables.choice("SEARCH_EXACT_TERMS", &[("true", true), ("false", false)])?,
            scored_passages: usize::try_from(scored).unwrap_or(usize::MAX),
        })
    }
}
