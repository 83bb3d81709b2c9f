use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

/// A variable that is missing or holds what it must not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The variable must be set.
    #[error("{name} is not set; it must be {allowed}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What it may hold.
        allowed: String,
    },
    /// The variable holds something else than it may.
    #[error("{name} is {value:?}; it must be {allowed}")]
    Wrong {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        allowed: String,
    },
}

impl ConfigError {
    /// The same of another variable: the one that stands beside its name.
    #[must_use]
    pub(super) fn renamed(self, names: &[(&'static str, &'static str)]) -> Self {
        let other = |name| names.iter().find(|(from, _)| *from == name).map_or(name, |(_, to)| *to);
        match self {
            Self::Missing { name, allowed } => Self::Missing { name: other(name), allowed },
            Self::Wrong { name, value, allowed } => Self::Wrong { name: other(name), value, allowed },
        }
    }
}

/// The environment variables of the process, or those a test made up. An empty variable counts as not set, since a
/// template cannot leave one out.
#[derive(Clone, Default)]
pub struct Variables(HashMap<String, String>);

impl fmt::Debug for Variables {
    /// The names only: some values are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Variables {
    /// The variables of this process.
    pub fn from_process() -> Self {
        Self(std::env::vars().collect())
    }

    /// These variables and no others.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// These variables, with those of `self` winning where both have one.
    #[must_use]
    pub fn or(mut self, defaults: &Variables) -> Self {
        for (name, value) in &defaults.0 {
            if self.optional_text(name).is_none() {
                self.0.insert(name.clone(), value.clone());
            }
        }
        self
    }

    /// All variables in the order of their names.
    pub fn sorted(&self) -> Vec<(&str, &str)> {
        let mut pairs: Vec<_> = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        pairs.sort_unstable();
        pairs
    }

    /// The text of `name`, if it is set.
    pub fn optional_text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The text of `name`, or `default`.
    pub fn text(&self, name: &str, default: &str) -> String {
        self.optional_text(name).unwrap_or(default).to_owned()
    }

    /// The text of `name`, which must be set.
    pub fn required_text(&self, name: &'static str, allowed: &str) -> Result<String, ConfigError> {
        self.optional_text(name)
            .map(str::to_owned)
            .ok_or_else(|| ConfigError::Missing { name, allowed: allowed.to_owned() })
    }

    /// The address in `name`, if it is set.
    pub fn optional_url(&self, name: &'static str, schemes: &[&str]) -> Result<Option<Url>, ConfigError> {
        let allowed = || format!("an address that begins with {}", schemes.join(":// or ") + "://");
        self.optional_text(name)
            .map(|value| match Url::parse(value) {
                Ok(url) if schemes.contains(&url.scheme()) => Ok(url),
                // An address may hold a password, so the value is not repeated.
                _ => Err(ConfigError::Wrong { name, value: "…".to_owned(), allowed: allowed() }),
            })
            .transpose()
    }

    /// The number in `name`, or `default`.
    pub fn number(&self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> Result<u64, ConfigError> {
        self.parsed(
            name,
            default,
            |value| value.parse().ok().filter(|n| range.contains(n)),
            || format!("a whole number from {} to {}", range.start(), range.end()),
        )
    }

    /// The number in `name`, or `default`, between 0 and 1.
    pub fn fraction(&self, name: &'static str, default: f32) -> Result<f32, ConfigError> {
        self.parsed(
            name,
            default,
            |value| value.parse().ok().filter(|n| (0.0..=1.0).contains(n)),
            || "a number from 0 to 1".to_owned(),
        )
    }

    /// The duration in milliseconds that `name` holds, or `default`.
    pub fn milliseconds(&self, name: &'static str, default: u64) -> Result<Duration, ConfigError> {
        self.number(name, default, 1..=900_000).map(Duration::from_millis)
    }

    /// One of `choices`, each a word and what it stands for; the first is the default.
    pub fn choice<T: Copy>(&self, name: &'static str, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let words = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let default = choices.first().ok_or_else(|| ConfigError::Missing { name, allowed: words() })?.1;
        let find = |value: &str| choices.iter().find(|(word, _)| *word == value).map(|(_, choice)| *choice);
        self.parsed(name, default, find, || format!("one of {}", words()))
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        default: T,
        parse: impl Fn(&str) -> Option<T>,
        allowed: impl Fn() -> String,
    ) -> Result<T, ConfigError> {
        self.optional_text(name).map_or(Ok(default), |value| {
            parse(value).ok_or_else(|| ConfigError::Wrong { name, value: value.to_owned(), allowed: allowed() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_names_the_variable_the_value_and_what_is_allowed() {
        let variables = Variables::from_pairs([("LIMIT", "many"), ("COLOUR", "mauve"), ("SHARE", "1.5")]);
        assert_eq!(
            variables.number("LIMIT", 5, 1..=10).unwrap_err().to_string(),
            "LIMIT is \"many\"; it must be a whole number from 1 to 10"
        );
        assert_eq!(
            variables.choice("COLOUR", &[("red", 1), ("blue", 2)]).unwrap_err().to_string(),
            "COLOUR is \"mauve\"; it must be one of red, blue"
        );
        assert_eq!(
            variables.fraction("SHARE", 0.5).unwrap_err().to_string(),
            "SHARE is \"1.5\"; it must be a number from 0 to 1"
        );
        assert_eq!(
            variables.required_text("ISSUER", "an address").unwrap_err().to_string(),
            "ISSUER is not set; it must be an address"
        );
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let variables = Variables::from_pairs([("LIMIT", "")]);
        assert_eq!(variables.number("LIMIT", 5, 1..=10), Ok(5));
        assert_eq!(variables.or(&Variables::from_pairs([("LIMIT", "7")])).number("LIMIT", 5, 1..=10), Ok(7));
    }

    #[test]
    fn an_address_with_a_password_is_not_repeated() {
        let error = Variables::from_pairs([("REDIS_URL", "http://:secret@host")])
            .optional_url("REDIS_URL", &["redis", "rediss"])
            .unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(error.to_string().contains("redis:// or rediss://"), "{error}");
    }
}
