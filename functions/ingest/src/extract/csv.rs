use csv::{ByteRecord, ReaderBuilder, StringRecord};
use shared::documents::Failure;

use super::corrupt;
use super::table::Table;
use crate::text::Text;

/// What may stand between the fields.
const DELIMITERS: [u8; 4] = [b'\t', b';', b',', b'|'];
/// How much of a file is looked at to tell what it is.
const SAMPLE: usize = 64 * 1024;
/// How many of its records.
const RECORDS: usize = 100;

/// What divides the fields, if a text is a table. Its name settles what the content leaves open.
pub(super) fn delimiter(text: &str, filename: &str) -> Option<u8> {
    let ending = filename.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let best = DELIMITERS
        .into_iter()
        .filter_map(|delimiter| Some((fields(text, delimiter)?, delimiter)))
        .max_by_key(|((records, fields), _)| (*records, *fields));
    match (ending.as_str(), best) {
        ("csv", best) => Some(best.map_or(b',', |(_, delimiter)| delimiter)),
        ("tsv" | "tab", best) => Some(best.map_or(b'\t', |(_, delimiter)| delimiter)),
        // Other texts are tables only if nothing speaks against it: each record has as many fields, and that is no chance.
        (_, Some(((records, fields), delimiter))) => {
            let certain = records >= 3 && (fields >= 3 || delimiter == b'\t') && delimiter != b'|';
            certain.then_some(delimiter)
        }
        (_, None) => None,
    }
}

/// How many records the beginning of the text has and how many fields each of them, if they agree.
fn fields(text: &str, delimiter: u8) -> Option<(usize, usize)> {
    let sample = text.get(..text.floor_char_boundary(SAMPLE)).unwrap_or(text);
    let cut = sample.len() < text.len();
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(sample.as_bytes());
    let mut counts: Vec<usize> = Vec::new();
    let mut record = ByteRecord::new();
    while counts.len() < RECORDS && reader.read_byte_record(&mut record).ok()? {
        counts.push(record.len());
    }
    if cut && counts.len() < RECORDS {
        counts.pop();
    }
    let first = *counts.first()?;
    (first > 1 && counts.iter().all(|count| *count == first)).then_some((counts.len(), first))
}

/// One line for each record, with the names of the columns if the first record has them.
pub(super) fn extract(csv: &str, delimiter: u8) -> Result<Text, Failure> {
    let mut text = Text::default();
    let mut table = Table::new(&mut text, None);
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(csv.as_bytes());
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|_| corrupt())? {
        table.row(record.iter().map(str::to_owned).collect())?;
    }
    table.end()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(csv: &str, filename: &str) -> Vec<String> {
        let text = extract(csv, delimiter(csv, filename).unwrap()).unwrap();
        text.blocks().map(|block| block.text.to_owned()).collect()
    }

    #[test]
    fn the_delimiter_is_found() {
        assert_eq!(lines("a,b\n\"1, 2\",\"3\n4\"\n", "x.csv"), ["a: 1, 2; b: 3 4"]);
        assert_eq!(
            lines("Name;Preis\nEnte;1,50\nGans;2,50\n", "x.csv"),
            ["Name: Ente; Preis: 1,50", "Name: Gans; Preis: 2,50"]
        );
        assert_eq!(lines("a\tb\n1\t2\n3\t4\n", "no name"), ["a: 1; b: 2", "a: 3; b: 4"]);
        assert_eq!(lines("just one\nduck\n", "x.csv"), ["just one: duck"]);
    }

    #[test]
    fn prose_is_no_table() {
        for prose in [
            "The duck, a bird, swims.\nIt eats plants, insects, and fish.\nIt flies.\n",
            "One line, with a comma, and another\n",
            "Dear Ann,\n\nthanks.\n\nYours,\nBob\n",
            "a | b\nc | d\ne | f\n",
        ] {
            assert_eq!(delimiter(prose, "x.txt"), None, "{prose}");
        }
        assert_eq!(delimiter("x,y,z\n1,2,3\n4,5,6\n", "x.txt"), Some(b','));
    }
}
