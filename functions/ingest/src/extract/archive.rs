use std::io::{Cursor, Read};

use shared::documents::{ErrorCode, Failure};
use zip::ZipArchive;
use zip::result::ZipError;

use super::encoding::decode;
use super::{corrupt, encrypted};

/// The most entries: a document has a few for each slide, sheet or picture.
const MAX_ENTRIES: usize = 20_000;
/// The most bytes that all entries together say they have.
const MAX_TOTAL: u128 = 1024 * 1024 * 1024;
/// The most bytes of an entry with text.
const MAX_PART: u64 = 128 * 1024 * 1024;

/// The zip archive that an office document is.
pub(super) struct Archive<'a>(ZipArchive<Cursor<&'a [u8]>>);

impl<'a> Archive<'a> {
    /// Opens an archive, unless its directory shows that it was made to swell: too many entries, too large, or several of
    /// the same bytes. What it only pretends is noticed when it is read.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Failure> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| failure(&error))?;
        let total = archive.decompressed_size().unwrap_or_default();
        if archive.len() > MAX_ENTRIES || total > MAX_TOTAL {
            return Err(bomb());
        }
        if archive.has_overlapping_files().map_err(|error| failure(&error))? {
            return Err(corrupt());
        }
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(|error| failure(&error))?;
            if entry.name().is_ok_and(|name| name.ends_with(".xml")) && entry.size() > MAX_PART {
                return Err(bomb());
            }
        }
        Ok(Self(archive))
    }

    /// The XML in an entry, if there is such an entry.
    pub(super) fn xml(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let entry = match self.0.by_name(name) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(failure(&error)),
        };
        let mut bytes = Vec::new();
        entry.take(MAX_PART + 1).read_to_end(&mut bytes).map_err(|_| corrupt())?;
        if bytes.len() as u64 > MAX_PART {
            return Err(bomb());
        }
        decode(bytes).map(Some).ok_or_else(corrupt)
    }
}

fn failure(error: &ZipError) -> Failure {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => encrypted(),
        _ => corrupt(),
    }
}

fn bomb() -> Failure {
    Failure {
        code: ErrorCode::TooLarge,
        detail: "The file unpacks to more than a document may have; divide it.".into(),
    }
}
