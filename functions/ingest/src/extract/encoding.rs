use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

/// Bytes as text, in whatever common encoding they are; `None` if they are no text.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let (encoding, bytes) = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) if encoding == UTF_8 || !is_mostly_ascii(&bytes[mark..]) => (encoding, &bytes[mark..]),
        _ => {
            let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
            detector.feed(bytes, true);
            (detector.guess(None, Utf8Detection::Allow), bytes)
        }
    };
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    let is_text = !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{85}'));
    is_text.then(|| text.into_owned())
}

/// UTF-16 of English is half zeros, and UTF-16 of other scripts is no mostly printable ASCII either: bytes that are
/// carry the mark of UTF-16 by accident.
fn is_mostly_ascii(bytes: &[u8]) -> bool {
    let printable = bytes.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ').count();
    printable * 4 > bytes.len() * 3
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn usual_encodings_are_told_apart() {
        assert_eq!(decode("Größe".as_bytes()).as_deref(), Some("Größe"));
        assert_eq!(decode(b"\xef\xbb\xbfduck").as_deref(), Some("duck"));
        assert_eq!(decode(b"\xff\xfed\0u\0c\0k\0").as_deref(), Some("duck"));
        assert_eq!(
            decode(b"Die Gr\xf6\xdfe der Fl\xe4che ist \xfcblich.").as_deref(),
            Some("Die Größe der Fläche ist üblich.")
        );
    }

    #[test]
    fn binary_data_is_no_text() {
        assert_eq!(decode(b"\xff\xfe\0not really text\0\x01"), None);
        assert_eq!(decode(b"\x7fELF\x02\x01\x01\0\0"), None);
    }
}
