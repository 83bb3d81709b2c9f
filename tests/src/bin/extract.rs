//! The program that reads files for the workers of the tests. `extract <file> <filename> <seconds>` is such a worker for
//! one file, and prints what became of it within that time.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tests::reading;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if let Some(code) = ingest::extract_if_told() {
        return Ok(code);
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [file, filename, seconds] = arguments.as_slice() else {
        return Err("usage: extract <file> <filename> <seconds>".into());
    };
    let time = Duration::from_secs(seconds.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(reading::read_measured(&PathBuf::from(file), filename, time));
    println!("{}", serde_json::to_string(&measured)?);
    Ok(ExitCode::SUCCESS)
}
