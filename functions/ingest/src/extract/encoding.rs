use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How many bytes tell UTF-16 that has no mark.
const SAMPLE: usize = 4096;

/// Bytes as text, in whatever common encoding they are; `None` if they are no text.
pub(super) fn decode(bytes: Vec<u8>) -> Option<String> {
    let (encoding, mark) = match Encoding::for_bom(&bytes) {
        Some((encoding, mark)) if encoding == UTF_8 || !is_mostly_ascii(&bytes[mark..]) => (encoding, mark),
        _ => match unmarked_utf16(&bytes) {
            Some(encoding) => (encoding, 0),
            // No other encoding of text has zeros, and most other files have.
            None if bytes.contains(&0) => return None,
            // The usual case, without a copy.
            None if std::str::from_utf8(&bytes).is_ok() => {
                return String::from_utf8(bytes).ok().filter(|text| is_text(text));
            }
            None => {
                let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
                detector.feed(&bytes, true);
                (detector.guess(None, Utf8Detection::Allow), 0)
            }
        },
    };
    let (text, _) = encoding.decode_without_bom_handling(&bytes[mark..]);
    is_text(&text).then(|| text.into_owned())
}

fn is_text(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{85}'))
}

/// UTF-16 without a mark, told by the zeros in every other byte that most scripts' spaces and line ends leave.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let zeros = |parity: usize| sample.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, pairs) = (zeros(0), zeros(1), sample.len() / 2);
    if odd * 4 > pairs && even == 0 {
        Some(UTF_16LE)
    } else if even * 4 > pairs && odd == 0 {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// UTF-16 of English is half zeros, and UTF-16 of other scripts is no mostly printable ASCII either: bytes that are
/// carry the mark of UTF-16 by accident.
fn is_mostly_ascii(bytes: &[u8]) -> bool {
    let printable = bytes.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ').count();
    printable * 4 > bytes.len() * 3
}

#[cfg(test)]
mod tests {
    fn decode(bytes: &[u8]) -> Option<String> {
        super::decode(bytes.to_vec())
    }

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
    fn utf16_needs_no_mark() {
        for swap in [false, true] {
            let bytes = |c: u16| if swap { c.to_be_bytes() } else { c.to_le_bytes() };
            let text: Vec<u8> = "Die Größe der Fläche".encode_utf16().flat_map(bytes).collect();
            assert_eq!(decode(&text).as_deref(), Some("Die Größe der Fläche"));
        }
    }

    #[test]
    fn binary_data_is_no_text() {
        assert_eq!(decode(b"\xff\xfe\0not really text\0\x01"), None);
        assert_eq!(decode(b"\x7fELF\x02\x01\x01\0\0"), None);
    }
}
