//! The name a document is shown under. It is never part of a storage key.

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

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_are_names_and_not_paths() {
        assert!(check("Bericht 2026 – final.pdf").is_ok());
        for wrong in ["", "  ", "a/b.txt", "..\\b.txt", "a\nb", &"x".repeat(256)] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }
}
