use std::collections::BTreeMap;

use shared::config::{ConfigError, Variables};

const NAME: &str = "USAGE_KEYS";

/// The API Gateway key of each plan that has one. API Gateway binds a request to the usage plan of the key that its
/// authorizer names, so one key stands for all tenants of a plan, of whom there may be more than there may be keys.
#[derive(Clone, Default)]
pub struct UsageKeys(BTreeMap<String, String>);

impl UsageKeys {
    /// Reads `USAGE_KEYS`: a JSON object of keys by the name of their plan, such as `{"pro": "…"}`; empty for none.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let Some(text) = variables.optional_text(NAME) else { return Ok(Self::default()) };
        // The keys are not for the log, so neither they nor the parser's words are repeated.
        let wrong = || ConfigError::Wrong {
            name: NAME,
            value: "…".to_owned(),
            allowed: "a JSON object of API Gateway keys by plan".to_owned(),
        };
        let keys: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| wrong())?;
        if keys.values().any(String::is_empty) { Err(wrong()) } else { Ok(Self(keys)) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of a plan.
    pub(crate) fn of(&self, plan: &str) -> Option<String> {
        self.0.get(plan).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<UsageKeys, ConfigError> {
        UsageKeys::from_variables(&Variables::from_pairs([(NAME, text)]))
    }

    #[test]
    fn each_plan_has_the_key_it_was_given() {
        assert!(read("").unwrap().is_empty());
        assert!(read("{}").unwrap().is_empty());
        let keys = read(r#"{"standard": "key-s", "pro": "key-p"}"#).unwrap();
        assert_eq!(keys.of("pro").as_deref(), Some("key-p"));
        assert_eq!(keys.of("gone"), None);
    }

    #[test]
    fn what_is_wrong_is_named_without_its_keys() {
        for wrong in [r#"{"pro": "secret""#, r#""secret""#, r#"{"pro": ["secret"]}"#, r#"{"a": "secret", "pro": ""}"#] {
            let error = read(wrong).err().unwrap().to_string();
            assert!(error.starts_with("USAGE_KEYS") && !error.contains("secret"), "{error}");
        }
    }
}
