use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::panic;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use shared::documents::Failure;

use super::{MAX_FILE, limits, too_large};
use crate::extract;
use crate::text::Text;

/// The first argument of a program that is to extract, and nothing else.
pub(super) const ORDER: &str = "ragline-extract";
/// The exit code of a child that could not do its work for no fault of the file.
pub(super) const NOT_THE_FILE: i32 = 75;
/// Readers that follow what is nested in a file need much more of it than the usual.
const STACK: usize = 64 * 1024 * 1024;

/// The part of the child: if this process was started by an [`Extractor`](super::Extractor), reads the file it was told
/// and gives the code to exit with. To be called first in `main`, before threads and runtimes take memory.
pub fn extract_if_told() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()?.to_str() != Some(ORDER) {
        return None;
    }
    let code = match run(&arguments.collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(u8::try_from(NOT_THE_FILE).unwrap_or(u8::MAX))
        }
    };
    Some(code)
}

fn run(arguments: &[OsString]) -> io::Result<()> {
    let [memory, seconds, original, filename] = arguments else { return Err(io::ErrorKind::InvalidInput.into()) };
    limits::set(number(memory)?, number(seconds)?)?;
    // What a parser says of itself may hold text of the document, which has no place in a log.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("panic at {place}");
    }));
    let (original, filename) = (OsString::clone(original), filename.to_string_lossy().into_owned());
    let reader = thread::Builder::new().stack_size(STACK).spawn(move || read(original.as_ref(), &filename))?;
    match reader.join() {
        Ok(outcome) => {
            let mut stdout = BufWriter::new(io::stdout().lock());
            serde_json::to_writer(&mut stdout, &outcome?)?;
            stdout.flush()
        }
        Err(_) => std::process::abort(),
    }
}

fn read(original: &Path, filename: &str) -> io::Result<Result<Text, Failure>> {
    let mut bytes = Vec::new();
    match File::open(original)?.take(MAX_FILE + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 <= MAX_FILE => Ok(extract::extract(bytes, filename)),
        Err(error) if error.kind() != io::ErrorKind::OutOfMemory => Err(error),
        _ => Ok(Err(too_large())),
    }
}

fn number(argument: &OsStr) -> io::Result<u64> {
    argument.to_str().and_then(|number| number.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
