//! `scripted-llm [port]`: the scripted language model as a process of its own, for load tests and for who tries Ragline out.
//! It prints `listening <address>`, the value for `LLM_BASE_URL`, and runs until it is ended. [`tests::llm`] lists what
//! the names of models do.

use std::error::Error;

use tests::llm::ScriptedLlm;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?;
    let llm = ScriptedLlm::start_on(port).await;
    println!("listening {}", llm.url());
    llm.serve().await;
    Ok(())
}
