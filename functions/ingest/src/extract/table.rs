use shared::documents::Failure;

use crate::text::{Kind, MAX_CHARACTERS, Text, too_much_text};

/// How many rows are looked at to tell whether the first names the columns.
const SAMPLE: usize = 100;
/// A name of a column is no longer than this.
const LONGEST_NAME: usize = 100;

/// Rows of a sheet on their way to lines such as `Column: value; Column: value`. A first row that does not name the columns
/// is a row like the others, and the lines have values only.
pub(super) struct Table<'a> {
    text: &'a mut Text,
    page: Option<u32>,
    columns: Option<Vec<String>>,
    /// The first rows, until it is clear what they are.
    sample: Vec<Vec<String>>,
    decided: bool,
}

impl<'a> Table<'a> {
    /// A table whose rows go to this text.
    pub(super) fn new(text: &'a mut Text, page: Option<u32>) -> Self {
        Self { text, page, columns: None, sample: Vec::new(), decided: false }
    }

    /// Takes a row; cells without a value are empty.
    pub(super) fn row(&mut self, mut cells: Vec<String>) -> Result<(), Failure> {
        while cells.last().is_some_and(|cell| cell.trim().is_empty()) {
            cells.pop();
        }
        if cells.is_empty() {
            return Ok(());
        }
        if self.decided {
            return self.line(&cells);
        }
        self.sample.push(cells);
        if self.sample.len() > SAMPLE { self.decide() } else { Ok(()) }
    }

    /// To be called behind the last row.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        self.decide()
    }

    /// What follows may be another table. If its first row does not say so, it is the rest of this one.
    pub(super) fn gap(&mut self) -> Result<(), Failure> {
        self.decide()?;
        self.decided = false;
        Ok(())
    }

    fn decide(&mut self) -> Result<(), Failure> {
        if self.decided {
            return Ok(());
        }
        self.decided = true;
        let sample = std::mem::take(&mut self.sample);
        let width = sample.iter().map(Vec::len).max().unwrap_or_default();
        // Sheets often begin with a title above the table.
        let titles = sample.iter().take_while(|row| width > 1 && filled(row) == 1).count();
        let titles = if titles < sample.len() { titles } else { 0 };
        for title in &sample[..titles] {
            self.text.push(Kind::Paragraph, &title.join(" "), self.page)?;
        }
        let mut rows = &sample[titles..];
        if let [first, others @ ..] = rows
            && names_columns(first, others)
        {
            self.columns = Some(first.iter().map(|name| on_one_line(name)).collect());
            rows = others;
        }
        rows.iter().try_for_each(|row| self.line(row))
    }

    fn line(&mut self, cells: &[String]) -> Result<(), Failure> {
        if cells.iter().map(String::len).sum::<usize>() > MAX_CHARACTERS * 4 {
            return Err(too_much_text());
        }
        let names = self.columns.as_deref().unwrap_or_default();
        let names = names.iter().map(String::as_str).chain(std::iter::repeat(""));
        let mut line = String::new();
        for (cell, name) in cells.iter().zip(names) {
            let cell = on_one_line(cell);
            if cell.is_empty() {
                continue;
            }
            if !line.is_empty() {
                line.push_str("; ");
            }
            if !name.is_empty() {
                line.push_str(name);
                line.push_str(": ");
            }
            line.push_str(&cell);
        }
        self.text.push(Kind::Row, &line, self.page)
    }
}

fn filled(row: &[String]) -> usize {
    row.iter().filter(|cell| !cell.trim().is_empty()).count()
}

/// Whether the first row of a table names its columns: it has short texts only, no two alike, and none comes again as a
/// value in its column.
fn names_columns(first: &[String], others: &[Vec<String>]) -> bool {
    let is_name =
        |name: &str| name.chars().count() <= LONGEST_NAME && name.chars().any(char::is_alphabetic) && !is_value(name);
    let names: Vec<String> = first.iter().map(|name| name.trim().to_lowercase()).collect();
    let mut distinct: Vec<&String> = names.iter().filter(|name| !name.is_empty()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let width = others.iter().map(|row| filled(row)).max().unwrap_or_default();
    !others.is_empty()
        && distinct.len() == filled(first)
        // Notes beside a table make its rows wider than what is named.
        && distinct.len() * 2 >= width
        && names.iter().all(|name| name.is_empty() || is_name(name))
        && !names.iter().enumerate().any(|(column, name)| {
            !name.is_empty() && others.iter().any(|row| row.get(column).is_some_and(|cell| cell.trim().to_lowercase() == *name))
        })
}

/// Whether a cell holds what stands below the name of a column rather than such a name: a number, a time, an address.
fn is_value(cell: &str) -> bool {
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    let letters = cell.chars().filter(|c| c.is_alphabetic()).count();
    digits > letters || cell.contains('@') || cell.contains("://") || matches!(cell, "true" | "false" | "yes" | "no")
}

/// A cell or a name: line breaks in it would be taken for the end of the row.
fn on_one_line(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rows: &[&[&str]]) -> Vec<String> {
        let mut text = Text::default();
        let mut table = Table::new(&mut text, None);
        for row in rows {
            table.row(row.iter().map(|cell| (*cell).to_owned()).collect()).unwrap();
        }
        table.end().unwrap();
        text.blocks().map(|block| block.text.to_owned()).collect()
    }

    #[test]
    fn each_line_names_its_columns() {
        assert_eq!(
            lines(&[&["id", "Name", ""], &["1", "Donald\nDuck", "sailor"], &[], &["2", "", ""]]),
            ["id: 1; Name: Donald Duck; sailor", "id: 2"]
        );
    }

    #[test]
    fn a_first_row_that_is_no_header_is_a_row() {
        assert_eq!(lines(&[&["1", "Donald"], &["2", "Daisy"]]), ["1; Donald", "2; Daisy"]);
        assert_eq!(
            lines(&[&["Ann", "Paris"], &["Bob", "Rome"], &["Eve", "Paris"]]),
            ["Ann; Paris", "Bob; Rome", "Eve; Paris"]
        );
        assert_eq!(lines(&[&["a", "a"], &["b", "c"]]), ["a; a", "b; c"]);
        assert_eq!(lines(&[&["Name", "Town"]]), ["Name; Town"]);
    }

    #[test]
    fn a_title_above_a_table_is_no_header() {
        assert_eq!(
            lines(&[&["Ducks of 2026"], &["Name", "Age"], &["Donald", "92"]]),
            ["Ducks of 2026", "Name: Donald; Age: 92"]
        );
    }
}
