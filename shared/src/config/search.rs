use super::{ConfigError, Variables};

/// How passages are ranked.
#[derive(Debug, Clone, Copy)]
pub struct SearchConfig {
    /// `SEARCH_LEXICAL_WEIGHT`: the share of the words' score in the fused score; the vectors' is the rest (0.3).
    pub lexical_weight: f32,
}

impl SearchConfig {
    /// Reads the variable named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self { lexical_weight: variables.fraction("SEARCH_LEXICAL_WEIGHT", 0.3)? })
    }
}
