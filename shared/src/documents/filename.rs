//! The name a document is shown under. It is never part of a storage key.

use std::fmt::Write;

/// The longest name, in characters.
const MAX: usize = 255;

/// Checks a name; the error is a sentence for the caller.
pub fn check(name: &str) -> Result<(), &'static str> {
    if name.trim().is_empty() || name.chars().count() > MAX {
        return Err("must have 1 to 255 characters");
    }
    if name.chars().any(|c| c.is_control() || c == '/' || c == '\\') {
        return Err("must not have slashes or control characters");
    }
    Ok(())
}

/// The `Content-Disposition` (RFC 6266) that makes a browser store a file under this name, and never show it.
pub fn attachment(name: &str) -> String {
    // What RFC 8187 lets stand for itself.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    let mut value = "attachment; filename*=UTF-8''".to_owned();
    for byte in name.bytes() {
        if plain(byte) {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{attachment, check};

    #[test]
    fn names_are_names_and_not_paths() {
        assert!(check("Bericht 2026 – final.pdf").is_ok());
        for wrong in ["", "  ", "a/b.txt", "..\\b.txt", "a\nb", &"x".repeat(256)] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_name_breaks_out_of_the_header() {
        assert_eq!(attachment("a-1.pdf"), "attachment; filename*=UTF-8''a-1.pdf");
        assert_eq!(attachment("Übersicht 2.pdf"), "attachment; filename*=UTF-8''%C3%9Cbersicht%202.pdf");
        let hostile = attachment("a\"; filename=x.html\r\nset-cookie: a=b'%.txt");
        let value = hostile.strip_prefix("attachment; filename*=UTF-8''").unwrap();
        assert!(!value.contains(['"', ';', ' ', '\r', '\n', '\'', '=']), "{value}");
    }
}
