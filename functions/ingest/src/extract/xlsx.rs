use std::io::Cursor;

use calamine::{DataRef, ExcelDateTime, Reader, SheetType, Xlsx, XlsxError};
use shared::documents::Failure;

use super::archive::Archive;
use super::table::Table;
use super::{corrupt, encrypted};
use crate::text::{Kind, MAX_CHARACTERS, Text, too_much_text};

/// The sheets of a workbook, one line for each row with the names of its columns.
pub(super) fn extract(bytes: &[u8]) -> Result<Text, Failure> {
    // Only to have its directory checked: the reader opens it by itself.
    Archive::open(bytes)?;
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| failure(&error))?;
    let sheets: Vec<String> = workbook
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet)
        .map(|sheet| sheet.name.clone())
        .collect();
    let mut text = Text::default();
    for name in sheets {
        sheet(&mut workbook, &name, &mut text)?;
    }
    Ok(text)
}

/// Reads cell by cell; nothing but the current row and the first ones is kept.
fn sheet(workbook: &mut Xlsx<Cursor<&[u8]>>, name: &str, text: &mut Text) -> Result<(), Failure> {
    text.push(Kind::Heading(1), name, None)?;
    let mut cells = workbook.worksheet_cells_reader(name).map_err(|error| failure(&error))?;
    let mut table = Table::new(text, None);
    let (mut at, mut row, mut bytes) = (0, Vec::new(), 0);
    while let Some(cell) = cells.next_cell().map_err(|error| failure(&error))? {
        let (line, column) = cell.get_position();
        if line != at {
            table.row(std::mem::take(&mut row))?;
            // Below rows that are empty another table may begin.
            if line > at + 1 {
                table.gap()?;
            }
            (at, bytes) = (line, 0);
        }
        let Some(value) = value(cell.get_value()) else { continue };
        bytes += value.len();
        if bytes > MAX_CHARACTERS * 4 {
            return Err(too_much_text());
        }
        let column = column as usize;
        if row.len() <= column {
            row.resize(column + 1, String::new());
        }
        row[column] = value;
    }
    table.row(row)?;
    table.end()
}

/// A value as a person would write it. Errors of formulas say nothing.
fn value(value: &DataRef<'_>) -> Option<String> {
    Some(match value {
        DataRef::Empty | DataRef::Error(_) => return None,
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => float(*number),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(truth) => truth.to_string(),
        DataRef::DateTime(time) => moment(time),
    })
}

/// Spreadsheets show fifteen digits; the rest is what binary fractions leave.
fn float(number: f64) -> String {
    let rounded = format!("{number:.14e}").parse().unwrap_or(number);
    format!("{rounded}")
}

fn moment(time: &ExcelDateTime) -> String {
    if time.is_duration() {
        let seconds = (time.as_f64() * 86_400.0).round();
        let (hours, minutes, seconds) = ((seconds / 3600.0).trunc(), (seconds / 60.0 % 60.0).trunc(), seconds % 60.0);
        return format!("{hours}:{minutes:02}:{seconds:02}");
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let clock = match (hour, minute, second) {
        (0, 0, 0) => String::new(),
        (_, _, 0) => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    };
    // Times of no day are stored as times of the day zero.
    match (time.as_f64() < 1.0, clock.is_empty()) {
        (true, false) => clock,
        (_, true) => format!("{year}-{month:02}-{day:02}"),
        (false, false) => format!("{year}-{month:02}-{day:02} {clock}"),
    }
}

fn failure(error: &XlsxError) -> Failure {
    match error {
        XlsxError::Password => encrypted(),
        _ => corrupt(),
    }
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::*;

    #[test]
    fn values_are_written_as_a_person_would() {
        assert_eq!(float(0.1 + 0.2), "0.3");
        assert_eq!(float(12.0), "12");
        let time = |value, kind| moment(&ExcelDateTime::new(value, kind, false));
        assert_eq!(time(46_350.0, ExcelDateTimeType::DateTime), "2026-11-24");
        assert_eq!(time(46_350.75, ExcelDateTimeType::DateTime), "2026-11-24 18:00");
        assert_eq!(time(0.5, ExcelDateTimeType::DateTime), "12:00");
        assert_eq!(time(1.5, ExcelDateTimeType::TimeDelta), "36:00:00");
    }
}
