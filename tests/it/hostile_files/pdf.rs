//! PDFs, also such as no program writes.

use std::fmt::Write;

/// A document of these objects, the first of which is the catalogue.
pub(crate) fn document(objects: &[String]) -> Vec<u8> {
    let mut document = String::from("%PDF-1.7\n");
    let mut places = Vec::new();
    for (number, object) in (1..).zip(objects) {
        places.push(document.len());
        write!(document, "{number} 0 obj\n{object}\nendobj\n").unwrap();
    }
    let table = document.len();
    write!(document, "xref\n0 {}\n0000000000 65535 f \n", places.len() + 1).unwrap();
    for place in &places {
        writeln!(document, "{place:010} 00000 n ").unwrap();
    }
    let size = places.len() + 1;
    write!(document, "trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n").unwrap();
    document.into_bytes()
}

/// So many pages with a few lines each.
pub(crate) fn pages(number: usize) -> Vec<u8> {
    let kids: Vec<String> = (0..number).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    let kids = kids.join(" ");
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        format!("<</Type/Pages/Count {number}/Kids[{kids}]>>"),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
    ];
    for page in 1..=number {
        let content = objects.len() + 2;
        objects.push(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents {content} 0 R>>"
        ));
        let lines: Vec<String> =
            (0..20).map(|line| format!("(Page {page} tells of ducks in its line {line}.) Tj 0 -14 Td ")).collect();
        let lines = lines.concat();
        objects.push(stream(&format!("BT /F1 12 Tf 50 800 Td {lines}ET")));
    }
    document(&objects)
}

/// A stream of its true length.
pub(crate) fn stream(content: &str) -> String {
    format!("<</Length {}>>stream\n{content}\nendstream", content.len())
}
