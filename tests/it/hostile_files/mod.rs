//! Files that were made to harm whoever reads them. Each ends in text or a typed failure, in time, and the worker and its
//! child stay below 512 MB together.

mod office;
mod pdf;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use ingest::{Limits, NotExtracted};
use shared::documents::ErrorCode;
use tempfile::NamedTempFile;
use tests::reading::{self, Measured};

/// What the worker's Lambda function must be able to make do with.
const MOST_MEMORY: u64 = 512 * 1024 * 1024;
/// What an upload may have.
const LARGE: usize = 100 * 1024 * 1024;

/// Reads a file in a worker of its own, whose memory is measured.
fn measure(filename: &str, bytes: &[u8]) -> Measured {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    measure_file(filename, file.path())
}

fn measure_file(filename: &str, file: &Path) -> Measured {
    measure_within(Limits::default().time, filename, file)
}

fn measure_within(time: Duration, filename: &str, file: &Path) -> Measured {
    let measured = reading::measure(file, filename, time);
    println!("{filename}: {measured:?}");
    assert!(measured.resident < MOST_MEMORY, "{filename}: {measured:?}");
    measured
}

/// The same for a file whose pieces are written until it is large.
fn measure_large(filename: &str, mut piece: impl FnMut() -> Vec<u8>) -> Measured {
    let file = NamedTempFile::new().unwrap();
    let mut writer = BufWriter::new(File::create(file.path()).unwrap());
    let mut size = 0;
    while size < LARGE {
        let piece = piece();
        let piece = &piece[..piece.len().min(LARGE - size)];
        writer.write_all(piece).unwrap();
        size += piece.len();
    }
    writer.flush().unwrap();
    measure_file(filename, file.path())
}

fn code(measured: &Measured) -> Option<ErrorCode> {
    measured.failure.as_ref().map(|(code, _)| *code)
}

#[test]
fn a_hundred_megabytes_of_text_are_too_large() {
    let lines = b"The duck swims over the lake, and nobody knows why it should not.\n\n".repeat(10_000);
    assert_eq!(code(&measure_large("large.txt", || lines.clone())), Some(ErrorCode::TooLarge));
}

#[test]
fn a_hundred_megabytes_of_noise_are_no_text() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise = move || {
        (0..100_000)
            .flat_map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            })
            .collect()
    };
    assert_eq!(code(&measure_large("noise.txt", noise)), Some(ErrorCode::UnsupportedType));
}

#[test]
fn a_table_of_a_single_line_is_too_large() {
    let fields = b"duck,\"goose\",".repeat(10_000);
    assert_eq!(code(&measure_large("line.csv", || fields.clone())), Some(ErrorCode::TooLarge));
    let unclosed = measure_large("quote.csv", || [b"a,b\n1,\"".as_slice(), &b"duck ".repeat(100_000)].concat());
    assert_eq!(code(&unclosed), Some(ErrorCode::TooLarge));
}

#[test]
fn a_text_of_as_many_characters_as_are_taken_is_cut_into_passages() {
    let mut text = String::new();
    while text.len() < 4_000_000 {
        text.push_str("The duck swims over the lake, and nobody knows why it should not do so. It dives too. ");
    }
    let measured = measure("prose.txt", text.as_bytes());
    assert!(measured.failure.is_none() && measured.passages > 3000, "{measured:?}");
    let blob = measure("blob.txt", &b"QmFzZTY0".repeat(500_000));
    assert!(blob.failure.is_none() && blob.passages > 600, "{blob:?}");
}

#[test]
fn archives_that_swell_end_in_a_typed_failure() {
    let spaces = (" ", 300_000_000);
    for (filename, bomb) in [
        ("bomb.docx", office::docx("", &[("<w:p><w:r><w:t>", 1), spaces, ("</w:t></w:r></w:p>", 1)])),
        ("bomb.pptx", office::pptx("", &[spaces])),
        ("bomb.xlsx", office::xlsx("", &[spaces])),
        ("paragraphs.docx", office::docx("", &[("<w:p><w:r><w:t>duck</w:t></w:r></w:p>", 4_000_000)])),
    ] {
        assert!(bomb.len() < 5_000_000, "{filename} is small: {}", bomb.len());
        assert_eq!(code(&measure(filename, &bomb)), Some(ErrorCode::TooLarge), "{filename}");
    }
}

#[test]
fn an_archive_whose_entries_share_their_bytes_is_corrupt() {
    let honest = office::docx("", &[("<w:p><w:r><w:t>duck</w:t></w:r></w:p>", 1)]);
    let measured = measure("honest.docx", &honest);
    assert_eq!((code(&measured), measured.characters), (None, 4));
    assert_eq!(code(&measure("overlapping.docx", &office::overlapping(&honest, 1000))), Some(ErrorCode::Corrupt));
}

#[test]
fn an_archive_within_an_archive_is_left_alone() {
    let inner = office::archive(&[("bomb", &[("0", 50_000_000)])]);
    let mut outer = office::archive(&[("inner.zip", &[("x", 1)])]);
    outer.extend(inner);
    assert_eq!(code(&measure("nested.zip", &outer)), Some(ErrorCode::UnsupportedType));
}

#[test]
fn entities_of_the_document_are_not_replaced() {
    let mut doctype = String::from("<!DOCTYPE x [<!ENTITY file SYSTEM \"file:///etc/passwd\"><!ENTITY e0 \"duck\">");
    for level in 1..=20 {
        let ten = format!("&e{};", level - 1).repeat(10);
        write!(doctype, "<!ENTITY e{level} \"{ten}\">").unwrap();
    }
    doctype.push_str("]>");
    for (filename, laughs) in [
        ("laughs.docx", office::docx(&doctype, &[("<w:p><w:r><w:t>ha &e20;&file;</w:t></w:r></w:p>", 1)])),
        ("laughs.pptx", office::pptx(&doctype, &[("<a:p><a:r><a:t>ha &e20;&file;</a:t></a:r></a:p>", 1)])),
        (
            "laughs.xlsx",
            office::xlsx(
                &doctype,
                &[("<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>ha &e20;&file;</t></is></c></row>", 1)],
            ),
        ),
    ] {
        let measured = measure(filename, &laughs);
        let corrupt = code(&measured) == Some(ErrorCode::Corrupt);
        assert!(corrupt || measured.characters < 100, "{filename}: {measured:?}");
    }
    let page = format!("{doctype}<html><body><p>ha &e20;&file;</p></body></html>");
    assert!(measure("laughs.html", page.as_bytes()).characters < 200_000);
}

#[test]
fn a_sheet_of_ten_thousand_columns_is_read() {
    let cell = "<c t=\"inlineStr\"><is><t>duck</t></is></c>".repeat(10_000);
    let measured = measure("wide.xlsx", &office::xlsx("", &[(&format!("<row>{cell}</row>"), 20)]));
    assert!(measured.failure.is_none() && measured.passages > 100, "{measured:?}");
}

#[test]
fn sheets_with_too_much_in_a_cell_or_too_many_rows_are_too_large() {
    let cell =
        [("<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>", 1), ("duck ", 10_000_000), ("</t></is></c></row>", 1)];
    assert_eq!(code(&measure("cell.xlsx", &office::xlsx("", &cell))), Some(ErrorCode::TooLarge));
    let rows = [("<row><c><v>1</v></c><c><v>2</v></c></row>", 1_000_000)];
    assert_eq!(code(&measure("rows.xlsx", &office::xlsx("", &rows))), Some(ErrorCode::TooLarge));
}

#[test]
fn a_pdf_of_five_thousand_pages_is_read() {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), pdf::pages(5_000)).unwrap();
    // How long that takes is up to the machine, and to who else is at work there.
    let measured = measure_within(Duration::from_mins(10), "pages.pdf", file.path());
    assert!(measured.failure.is_none() && measured.passages >= 5_000, "{measured:?}");
}

#[test]
fn a_pdf_that_leads_in_circles_or_too_deep_or_lies_of_its_length_ends() {
    let catalogue = "<</Type/Catalog/Pages 2 0 R>>".to_owned();
    let mut deep = vec![catalogue.clone()];
    deep.extend((3..20_000).map(|kid| format!("<</Type/Pages/Count 1/Kids[{kid} 0 R]>>")));
    let circle = "<</Type/Pages/Count 2/Kids[2 0 R 2 0 R]/Parent 2 0 R>>".to_owned();
    let page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>".to_owned();
    let pages = "<</Type/Pages/Count 99999999/Kids[3 0 R]>>".to_owned();
    let lie = "<</Length 99999999999>>stream\nBT (duck) Tj ET\nendstream".to_owned();
    let own_length = "<</Length 4 0 R/Filter[/FlateDecode/FlateDecode]>>stream\nx\nendstream".to_owned();
    let arrays = format!("<</Type/Pages/Kids{}{}>>", "[".repeat(200_000), "]".repeat(200_000));
    for (filename, objects) in [
        ("deep.pdf", deep),
        ("circle.pdf", vec![catalogue.clone(), circle]),
        ("lie.pdf", vec![catalogue.clone(), pages.clone(), page.clone(), lie]),
        ("own.pdf", vec![catalogue.clone(), pages, page, own_length]),
        ("arrays.pdf", vec![catalogue, arrays]),
    ] {
        let measured = measure(filename, &pdf::document(&objects));
        assert!(measured.failure.is_some() || measured.characters < 10, "{filename}: {measured:?}");
    }
}

#[test]
fn what_is_nested_deep_ends() {
    let nested = |open: &str, close: &str, depth: usize| format!("{}duck{}", open.repeat(depth), close.repeat(depth));
    for (filename, nested) in [
        ("deep.html", format!("<html><body>{}</body></html>", nested("<div><p>", "</p></div>", 100_000))),
        (
            "tables.html",
            format!("<html><body>{}</body></html>", nested("<table><tr><td>", "</td></tr></table>", 20_000)),
        ),
        ("quotes.md", nested("> ", "\n", 100_000)),
        ("lists.md", (0..3000).map(|depth| "  ".repeat(depth) + "- duck\n").collect()),
        ("brackets.md", nested("[", "](x)", 100_000)),
        ("stars.md", nested("*a **b ", "** *", 50_000)),
        (
            "parts.eml",
            format!(
                "From: a\nTo: b\nDate: c\n{}\n\nduck",
                nested("Content-Type: multipart/mixed; boundary=x\n\n--x\n", "", 20_000)
            ),
        ),
        (
            "messages.eml",
            format!("From: a\nTo: b\nDate: c\n{}", nested("Content-Type: message/rfc822\n\nFrom: a\n", "", 20_000)),
        ),
    ] {
        measure(filename, nested.as_bytes());
    }
    let tables = [
        ("<w:tbl><w:tr><w:tc>", 50_000),
        ("<w:p><w:r><w:t>duck</w:t></w:r></w:p>", 1),
        ("</w:tc></w:tr></w:tbl>", 50_000),
    ];
    measure("tables.docx", &office::docx("", &tables));
    measure(
        "groups.pptx",
        &office::pptx("", &[("<p:grpSp>", 100_000), ("<a:p><a:t>duck</a:t></a:p>", 1), ("</p:grpSp>", 100_000)]),
    );
}

#[tokio::test]
async fn a_child_that_exceeds_a_limit_is_told_apart_from_one_that_crashed() {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), "duck ".repeat(2_000_000)).unwrap();
    let limited = async |limits: Limits| {
        let outcome = reading::extractor().with_limits(limits).extract(file.path(), "duck.txt").await;
        match outcome {
            Err(NotExtracted::Failed(failure)) => Some((failure.code, failure.detail.contains("memory"))),
            Err(NotExtracted::Retry(error)) => panic!("{error}"),
            Ok(_) => None,
        }
    };
    assert_eq!(limited(Limits::default()).await, None);
    #[cfg(target_os = "linux")]
    assert_eq!(limited(Limits { memory: 80 << 20, ..Limits::default() }).await, Some((ErrorCode::TooLarge, true)));
    assert_eq!(limited(Limits { time: Duration::ZERO, ..Limits::default() }).await, Some((ErrorCode::TooLarge, false)));
}

#[tokio::test]
async fn a_file_that_is_not_there_is_no_fault_of_the_file() {
    let outcome = reading::extractor().extract(Path::new("/nowhere/at/all"), "duck.txt").await;
    assert!(matches!(outcome, Err(NotExtracted::Retry(_))), "{outcome:?}");
}
