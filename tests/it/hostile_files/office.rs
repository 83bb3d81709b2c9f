//! Office documents, also such as no office program writes.

use std::io::{BufWriter, Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Text and how often it comes.
pub(crate) type Piece<'a> = (&'a str, usize);

const MAIN: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";
const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml";

/// A word processor's file with this in its body.
pub(crate) fn docx(doctype: &str, body: &[Piece<'_>]) -> Vec<u8> {
    let head = format!(
        r#"{doctype}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>"#
    );
    package(DOCX, "word/document.xml", &[("word/document.xml", &around(&head, body, "</w:body></w:document>"))])
}

/// A presentation of one slide.
pub(crate) fn pptx(doctype: &str, slide: &[Piece<'_>]) -> Vec<u8> {
    let presentation = format!(
        r#"<p:presentation xmlns:p="p" xmlns:r="{MAIN}"><p:sldIdLst><p:sldId id="256" r:id="rId1"/></p:sldIdLst></p:presentation>"#
    );
    let relations = relations(&[("slide", "slides/slide1.xml")]);
    let head = format!(r#"{doctype}<p:sld xmlns:p="p" xmlns:a="a">"#);
    package(
        PPTX,
        "ppt/presentation.xml",
        &[
            ("ppt/presentation.xml", &[(&presentation, 1)]),
            ("ppt/_rels/presentation.xml.rels", &[(&relations, 1)]),
            ("ppt/slides/slide1.xml", &around(&head, slide, "</p:sld>")),
        ],
    )
}

/// A workbook of one sheet.
pub(crate) fn xlsx(doctype: &str, rows: &[Piece<'_>]) -> Vec<u8> {
    let workbook = format!(
        r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="{MAIN}"><sheets><sheet name="Ducks" sheetId="1" r:id="rId1"/></sheets></workbook>"#
    );
    let relations = relations(&[("worksheet", "worksheets/sheet1.xml")]);
    let head =
        format!(r#"{doctype}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>"#);
    package(
        XLSX,
        "xl/workbook.xml",
        &[
            ("xl/workbook.xml", &[(&workbook, 1)]),
            ("xl/_rels/workbook.xml.rels", &[(&relations, 1)]),
            ("xl/worksheets/sheet1.xml", &around(&head, rows, "</sheetData></worksheet>")),
        ],
    )
}

/// The same archive with a directory that names its last entry so many times.
pub(crate) fn overlapping(archive: &[u8], times: u16) -> Vec<u8> {
    let number = |at: usize, bytes: usize| {
        archive[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let end = archive.len() - 22;
    let (entries, size, directory) = (number(end + 10, 2), number(end + 12, 4), number(end + 16, 4));
    let mut last = directory;
    for _ in 1..entries {
        last += 46 + number(last + 28, 2) + number(last + 30, 2) + number(last + 32, 2);
    }
    let (record, name) = (&archive[last..directory + size], number(last + 28, 2));
    let mut copy = archive[..end].to_vec();
    for index in 0..times {
        let mut record = record.to_vec();
        let renamed = format!("{index:0name$}");
        record[46..46 + name].copy_from_slice(&renamed.as_bytes()[..name]);
        copy.extend(record);
    }
    let (entries, size) = (u16::try_from(entries).unwrap() + times, u32::try_from(copy.len() - directory).unwrap());
    let mut tail = archive[end..].to_vec();
    tail[8..10].copy_from_slice(&entries.to_le_bytes());
    tail[10..12].copy_from_slice(&entries.to_le_bytes());
    tail[12..16].copy_from_slice(&size.to_le_bytes());
    copy.extend(tail);
    copy
}

fn around<'a>(head: &'a str, pieces: &[Piece<'a>], tail: &'a str) -> Vec<Piece<'a>> {
    [&[(head, 1)], pieces, &[(tail, 1)]].concat()
}

fn relations(targets: &[(&str, &str)]) -> String {
    let all = (1..)
        .zip(targets)
        .map(|(id, (kind, target))| format!(r#"<Relationship Id="rId{id}" Type="{MAIN}/{kind}" Target="{target}"/>"#));
    let all: String = all.collect();
    format!(
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{all}</Relationships>"#
    )
}

fn package(kind: &str, main: &str, parts: &[(&str, &[Piece<'_>])]) -> Vec<u8> {
    let types = format!(
        r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/{main}" ContentType="{kind}"/></Types>"#
    );
    let relations = relations(&[("officeDocument", main)]);
    let mut all: Vec<(&str, &[Piece<'_>])> = Vec::new();
    let (types, relations) = ([(types.as_str(), 1)], [(relations.as_str(), 1)]);
    all.extend([("[Content_Types].xml", &types[..]), ("_rels/.rels", &relations[..])]);
    all.extend(parts);
    archive(&all)
}

/// A zip archive of these entries.
pub(crate) fn archive(entries: &[(&str, &[Piece<'_>])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).compression_level(Some(1));
    for (name, pieces) in entries {
        archive.start_file(*name, options).unwrap();
        let mut writer = BufWriter::with_capacity(1 << 20, &mut archive);
        for (piece, times) in *pieces {
            let many = piece.repeat((*times).min(1000));
            for _ in 0..times / 1000 {
                writer.write_all(many.as_bytes()).unwrap();
            }
            let rest = if *times < 1000 { *times } else { times % 1000 };
            writer.write_all(&many.as_bytes()[..rest * piece.len()]).unwrap();
        }
        writer.flush().unwrap();
    }
    archive.finish().unwrap().into_inner()
}
