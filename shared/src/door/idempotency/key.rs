use http::HeaderMap;

use crate::error::Error;

const NAME: &str = "idempotency-key";
/// The longest key, in characters.
const MAX: usize = 255;

/// The word by which a client names a request that it may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key among the headers, if there is one. It is a string of RFC 9651, `"x"`, or, as many clients send it, bare.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        const RULE: &str = "must be one word of 1 to 255 visible ASCII characters, in quotes or without";
        let mut values = headers.get_all(NAME).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().filter(|_| values.next().is_none()).and_then(|text| parse(text.trim()));
        key.map(Some).ok_or_else(|| Error::field(NAME, RULE))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn parse(text: &str) -> Option<IdempotencyKey> {
    let word = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest)?,
        None => text.to_owned(),
    };
    let is_word = (1..=MAX).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic());
    is_word.then_some(IdempotencyKey(word))
}

/// The text of a string whose first quotation mark is gone already.
fn unquoted(rest: &str) -> Option<String> {
    let (mut word, mut characters) = (String::new(), rest.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => return characters.next().is_none().then_some(word),
            '\\' => word.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => word.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, Error> {
        let value = |value: &&str| (http::HeaderName::from_static(NAME), HeaderValue::from_str(value).unwrap());
        let headers = values.iter().map(value).collect();
        Ok(IdempotencyKey::from_headers(&headers)?.map(|key| key.0))
    }

    #[test]
    fn a_key_is_a_word_in_quotes_or_without() {
        assert_eq!(read(&[]).unwrap(), None);
        let (bare, quoted) = ("8e03978e-40d5-43e8-bc93-6894a57f9324", "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"");
        assert_eq!(read(&[bare]).unwrap().as_deref(), Some(bare));
        assert_eq!(read(&[quoted]).unwrap().as_deref(), Some(bare));
        assert_eq!(read(&[r#""a\"b\\c""#]).unwrap().as_deref(), Some(r#"a"b\c"#));
        assert_eq!(read(&[&"x".repeat(255)]).unwrap().unwrap().len(), 255);
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let long = "x".repeat(256);
        let wrong: [&[&str]; 11] = [
            &[""],
            &["\"\""],
            &["\""],
            &["\"a"],
            &["\"a\"b"],
            &["\"a\";p=1"],
            &[r#""a\b""#],
            &["a b"],
            &["\"a\tb\""],
            &[&long],
            &["a", "b"],
        ];
        for values in wrong {
            let Err(Error::Invalid(errors)) = read(values) else { panic!("{values:?}") };
            assert_eq!(errors[0].pointer, NAME);
        }
        let headers =
            HeaderMap::from_iter([(http::HeaderName::from_static(NAME), HeaderValue::from_bytes(b"\xfc").unwrap())]);
        assert!(IdempotencyKey::from_headers(&headers).is_err());
    }
}
