use std::fmt;

use super::{ConfigError, Variables};

/// The fewest bytes of a secret: as many as the keys that are made from it have.
const LEAST: usize = 32;

/// The deployment's own secret.
#[derive(Debug, Clone)]
pub struct SigningConfig {
    /// `SIGNING_SECRET`: at least 32 bytes of text. Several stand one after another, separated by commas: the first signs,
    /// and all verify. To replace a secret, put the new one in front, and remove the old one 30 days later: until
    /// then what is sealed with it is sealed anew where it is used. Required.
    pub newest: SigningSecret,
    /// The others in `SIGNING_SECRET`.
    pub older: Vec<SigningSecret>,
}

/// A secret, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(String);

impl SigningSecret {
    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

impl SigningConfig {
    /// Reads the variable named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        const NAME: &str = "SIGNING_SECRET";
        const ALLOWED: &str = "a secret of at least 32 bytes, or several, separated by commas";
        let text = variables.required_text(NAME, ALLOWED)?;
        let wrong = || ConfigError::Wrong { name: NAME, value: "…".to_owned(), allowed: ALLOWED.to_owned() };
        let mut secrets = text.split(',').map(|secret| {
            let secret = secret.trim();
            if secret.len() < LEAST { Err(wrong()) } else { Ok(SigningSecret(secret.to_owned())) }
        });
        let newest = secrets.next().ok_or_else(wrong)??;
        Ok(Self { newest, older: secrets.collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SigningConfig, ConfigError> {
        SigningConfig::from_variables(&Variables::from_pairs([("SIGNING_SECRET", text)]))
    }

    #[test]
    fn a_secret_is_long_and_may_have_older_ones_behind_it() {
        let (new, old) = ("n".repeat(32), "o".repeat(64));
        assert_eq!(read(&new).unwrap().older, []);
        let both = read(&format!("{new}, {old}")).unwrap();
        assert_eq!((both.newest, both.older), (SigningSecret(new.clone()), vec![SigningSecret(old)]));
        for wrong in ["", "short", &format!("{new},short"), &format!("{new},"), &" ".repeat(40)] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let secret = "s3cret-s3cret-s3cret-s3cret-s3cret";
        assert!(!format!("{:?}", read(secret).unwrap()).contains("s3cret"));
        assert!(!read("s3cret").unwrap_err().to_string().contains("s3cret"));
    }
}
