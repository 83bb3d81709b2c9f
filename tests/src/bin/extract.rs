//! The program that reads files for the workers of the tests. `extract <file> <filename>` is such a worker for one file,
//! and prints what became of it.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use tests::reading;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if let Some(code) = ingest::extract_if_told() {
        return Ok(code);
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [file, filename] = arguments.as_slice() else { return Err("usage: extract <file> <filename>".into()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(reading::read_measured(&PathBuf::from(file), filename));
    println!("{}", serde_json::to_string(&measured)?);
    Ok(ExitCode::SUCCESS)
}
