//! What it costs to see what happens: `make bench`.
//!
//! The function `documents` answers a GET from the cache, the cheapest request there is, in environments that differ in what they
//! tell of it. What is counted is all that an event takes of a processor in the environment: from its arrival until the function
//! asks for the next one, by when metrics are written and traces sent. Environments take turns, so that a noisy moment hits all.

#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be taken ends")]

use std::time::Duration;

use lambda::{Environment, Installation, Program, beside_this_program};
use serde_json::Value;
use tests::Collector;

const WARM_UP: usize = 2;
const ROUNDS: usize = 21;
/// Events of a round.
const EVENTS: u32 = 100;
/// What all of it may take, of an event without.
const GOAL: f64 = 1.05;

const SILENT: [(&str, &str); 2] = [("LOG_LEVEL", "off"), ("METRICS_NAMESPACE", "")];
const LINES: (&str, &str) = ("LOG_LEVEL", "info");
const METRICS: (&str, &str) = ("METRICS_NAMESPACE", "Ragline/bench");
const ONE_OF_20: (&str, &str) = ("OTEL_TRACES_SAMPLER_ARG", "0.05");

/// One way to tell what happens.
struct Way {
    name: &'static str,
    environment: Environment,
    /// What an event took in each round.
    rounds: Vec<Duration>,
}

#[tokio::main]
async fn main() {
    let collector = Collector::start().await;
    let endpoint = collector.otlp();
    let traces = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());
    let installation = Installation::start(&beside_this_program()).await;
    let event = installation.sample("documents/list");
    let mut ways = Vec::new();
    for (name, variables) in [
        ("nothing", &[][..]),
        ("log lines", &[LINES]),
        ("metrics", &[METRICS]),
        ("a trace of 20", &[traces, ONE_OF_20]),
        ("every trace", &[traces]),
        ("all, a trace of 20", &[LINES, METRICS, traces, ONE_OF_20]),
    ] {
        // As on AWS, where there is no folder. Nobody asks for it.
        let bucket = [("BLOBS_URL", "s3://ragline"), ("S3_ENDPOINT", "http://127.0.0.1:9")];
        let variables = [&bucket, &SILENT, variables].concat();
        let log = installation.app().folder().join("bench.log");
        let program = Program { log: Some(log), ..installation.program_with("documents", &variables) };
        ways.push(Way { name, environment: Environment::start(&program).await.unwrap(), rounds: Vec::new() });
    }
    for round in 0..WARM_UP + ROUNDS {
        for way in &mut ways {
            let took = way.round(&event).await;
            if round >= WARM_UP {
                way.rounds.push(took);
            }
        }
    }
    report(&mut ways);
}

impl Way {
    async fn round(&mut self, event: &Value) -> Duration {
        let before = self.environment.usage().unwrap().cpu;
        let mut hits = 0;
        for _ in 0..EVENTS {
            let answer = self.environment.invoke(event).await.unwrap().read().await.unwrap();
            assert!(answer.status.is_success(), "{answer:?}");
            let cache = answer.headers.get("cache-status").unwrap().to_str().unwrap();
            hits += u32::from(cache.contains("hit"));
            assert!(self.environment.rest().await, "the function goes on");
        }
        // An answer is kept for a minute.
        assert!(hits * 100 >= EVENTS * 95, "the cache answered {hits} of {EVENTS} events");
        self.environment.usage().unwrap().cpu.saturating_sub(before) / EVENTS
    }

    /// The median of its rounds, in microseconds.
    fn median(&mut self) -> f64 {
        self.rounds.sort_unstable();
        self.rounds[self.rounds.len() / 2].as_secs_f64() * 1e6
    }
}

fn report(ways: &mut [Way]) {
    println!("processor time of a GET answered from the cache, by the function `documents`");
    println!("{ROUNDS} rounds of {EVENTS} events, medians in microseconds\n");
    println!("{:<20} {:>9} {:>9} {:>9}", "told of it", "whole", "more", "");
    let silent = ways[0].median();
    let mut times = 1.0;
    for way in ways {
        let median = way.median();
        times = median / silent;
        let (more, percent) = (median - silent, 100.0 * (times - 1.0));
        println!("{:<20} {median:>9.1} {more:>9.1} {percent:>8.1} %", way.name);
    }
    println!("\ntelemetry takes {times:.3} times an event without it (goal: at most {GOAL})");
}
