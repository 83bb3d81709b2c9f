use http::HeaderValue;
use url::Url;

use super::{ConfigError, Variables};

const NAME: &str = "ALLOWED_ORIGINS";

/// The web applications whose pages may call the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins(pub Vec<HeaderValue>);

impl AllowedOrigins {
    /// Reads `ALLOWED_ORIGINS`: origins such as `https://app.example.com`, separated by commas; empty for none.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let text = variables.text(NAME, "");
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let origins = origins.map(|origin| {
            // As browsers write it: no path, no port that goes without saying, nothing in capitals.
            Url::parse(origin)
                .ok()
                .filter(|url| url.has_host() && url.origin().ascii_serialization() == origin)
                .and_then(|_| HeaderValue::from_str(origin).ok())
                .ok_or_else(|| ConfigError::Wrong {
                    name: NAME,
                    value: origin.to_owned(),
                    allowed: "an origin such as https://app.example.com, or several with commas".to_owned(),
                })
        });
        origins.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AllowedOrigins, ConfigError> {
        AllowedOrigins::from_variables(&Variables::from_pairs([(NAME, text)]))
    }

    #[test]
    fn an_origin_is_what_a_browser_sends_or_refused() {
        assert_eq!(read("").unwrap(), AllowedOrigins::default());
        assert_eq!(read("https://app.example.com, http://localhost:3000").unwrap().0.len(), 2);
        for wrong in
            ["*", "null", "app.example.com", "https://app.example.com/", "https://App.example.com", "https://a:443"]
        {
            assert!(read(wrong).unwrap_err().to_string().starts_with(NAME), "{wrong}");
        }
    }
}
