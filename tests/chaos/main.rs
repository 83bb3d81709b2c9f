//! The whole under load while a part of it fails: what users see of it, how soon it is over, and that nothing is lost which was
//! accepted.
//!
//! `make chaos` tries all faults, and `make test` the usual ones of them. Words try those whose names have one of them:
//! `cargo test --workspace --test chaos -- redis`.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod fault;
mod ledger;
mod load;
mod policy;
mod site;
mod verdict;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::time::sleep;

use self::fault::{Fault, Harm};
use self::load::Load;
use self::policy::FAULTS;
use self::site::Site;
use self::verdict::{Outcome, Span, Verdict};

/// How long the load goes on before a fault, and after it.
const AROUND: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5));
/// How soon it must be over.
const BACK: Duration = Duration::from_secs(2);
/// The same where other tests run beside.
const BACK_BESIDE_OTHERS: Duration = Duration::from_secs(4);
/// The lines of the log that are shown where something does not hold.
const SHOWN: usize = 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_all = arguments.iter().any(|argument| argument == "--all");
    // Others are for the tests beside this one.
    let words: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let is_chosen = |fault: &&Fault| {
        let is_named = words.iter().any(|word| fault.name.contains(word.as_str()));
        if words.is_empty() { is_all || fault.is_usual } else { is_named }
    };
    let chosen: Vec<_> = FAULTS.iter().filter(is_chosen).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for fault in chosen {
            println!("{}: test", fault.name);
        }
        return ExitCode::SUCCESS;
    }
    // This process has both ends of most connections.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let limit = if is_all { BACK } else { BACK_BESIDE_OTHERS };
    if run(&chosen, limit) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tries faults, one after another; whether all went as the policy says.
#[tokio::main]
async fn run(faults: &[&Fault], limit: Duration) -> bool {
    let mut outcomes = Vec::new();
    for fault in faults {
        println!("{} …", fault.name);
        outcomes.push((*fault, Box::pin(attempt(fault, limit)).await));
    }
    println!("\n| fault | seconds | what users saw meanwhile | longest | back after | log | |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (fault, outcome) in &outcomes {
        let (name, seconds) = (fault.name, fault.lasts.as_secs());
        match outcome {
            Outcome::Skipped(why) => println!("| {name} | | | | | | skipped: {why} |"),
            Outcome::Tried(Verdict { seen, longest, back, lines, broken }) => {
                let back = back.map_or("never".to_owned(), |back| format!("{:.1} s", back.as_secs_f32()));
                let (longest, held) = (longest.as_secs_f32(), if broken.is_empty() { "held" } else { "BROKEN" });
                println!("| {name} | {seconds} | {seen} | {longest:.1} s | {back} | {lines} | {held} |");
            }
        }
    }
    outcomes.iter().all(|(_, outcome)| match outcome {
        Outcome::Skipped(_) => true,
        Outcome::Tried(verdict) => verdict.broken.is_empty(),
    })
}

async fn attempt(fault: &Fault, limit: Duration) -> Outcome {
    let mut site = match Site::start(fault.harm).await {
        Ok(site) => site,
        Err(why) => return Outcome::Skipped(why),
    };
    let world = Arc::new(site.world());
    world.settle_in().await;
    let load = Load::begin(Arc::clone(&world));
    sleep(AROUND.0).await;
    let before = site.lines().len();
    let (begun, ended) = site.suffer(fault.harm, fault.lasts, &world).await;
    sleep(AROUND.1).await;
    let samples = load.end().await;
    let log = site.lines();
    // Who was killed logs no more, and the next begins anew.
    let lines = &log[if fault.harm == Harm::Killed { 0 } else { before }..];
    let mut verdict = Verdict::of(fault, &Span { begun, ended }, &samples, lines.len(), limit);
    verdict.broken.extend(ledger::check(&world, fault.harm.spares_the_database()).await);
    for broken in &verdict.broken {
        println!("  {broken}");
    }
    let shown = if verdict.broken.is_empty() { 0 } else { SHOWN };
    for line in lines.iter().take(shown) {
        println!("  {line}");
    }
    site.stop().await;
    Outcome::Tried(verdict)
}
