//! Frozen environments whose connections are dropped meanwhile without a word: what the first request after that meets with.

mod case;
mod report;

use std::time::{Duration, Instant};

use futures::future::join_all;
use tests::Proxy;

use self::case::{CASES, Case};
pub use self::report::{Report, Thaw};
use crate::environment::Environment;
use crate::installation::Installation;
use crate::process::is_stopped;

/// Environments that start side by side.
const STARTING: usize = 4;

/// How long environments are frozen, and how many of them each time.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The times. All environments are frozen at once, so this takes no longer than the longest.
    pub times: Vec<Duration>,
    /// How many environments for each.
    pub environments: usize,
}

/// Environments that are frozen for the same time, and the way to what they need.
struct Group {
    time: Duration,
    frozen_at: Instant,
    redis: Proxy,
    dynamodb: Proxy,
    environments: Vec<(Environment, Case)>,
}

/// Freezes environments, drops their connections, and asks each once when it is thawed.
pub async fn run(installation: &Installation, plan: &Plan) -> Report {
    let mut groups = Vec::new();
    for &time in &plan.times {
        groups.push(Group::freeze(installation, time, plan.environments).await);
    }
    groups.sort_by_key(Group::due);
    let mut thaws = Vec::new();
    for group in groups {
        tokio::time::sleep_until(group.due().into()).await;
        thaws.extend(group.thaw(installation).await);
    }
    Report::new(thaws)
}

impl Group {
    /// Starts environments, has them answer until all their connections stand, freezes them, and drops the connections.
    async fn freeze(installation: &Installation, time: Duration, count: usize) -> Self {
        let redis = Proxy::start(installation.app().redis_url()).await;
        let dynamodb = Proxy::start(installation.app().dynamodb_endpoint()).await;
        let variables = [("REDIS_URL", redis.url()), ("DYNAMODB_ENDPOINT", dynamodb.url())];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let cases: Vec<_> = CASES.iter().copied().cycle().take(count).collect();
        let mut environments = Vec::new();
        for cases in cases.chunks(STARTING) {
            let starting = cases.iter().map(|case| warm(installation, &variables, *case));
            environments.extend(join_all(starting).await);
        }
        for (environment, _) in &mut environments {
            environment.freeze().unwrap();
            while !is_stopped(environment.pid()).unwrap() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(redis.connections() > 0 && dynamodb.connections() > 0, "the functions go by the proxies");
        redis.blackhole_existing();
        dynamodb.blackhole_existing();
        Self { time, frozen_at: Instant::now(), redis, dynamodb, environments }
    }

    fn due(&self) -> Instant {
        self.frozen_at + self.time
    }

    /// Asks each environment once. One after another: on AWS each has a machine of its own.
    async fn thaw(self, installation: &Installation) -> Vec<Thaw> {
        let connections = || self.redis.connections() + self.dynamodb.connections();
        let before = connections();
        let mut thaws = Vec::new();
        for (mut environment, case) in self.environments {
            assert!(is_stopped(environment.pid()).unwrap(), "it was frozen all the time");
            let event = case.event(installation);
            let asked = Instant::now();
            let outcome = ask(&mut environment, &event).await;
            thaws.push(Thaw { frozen: self.time, case: case.name, took: asked.elapsed(), outcome });
        }
        assert!(connections() > before, "what was dropped was connected anew");
        thaws
    }
}

/// An environment that has answered its case, twice.
async fn warm(installation: &Installation, variables: &[(&str, &str)], case: Case) -> (Environment, Case) {
    let program = installation.program_with(case.function, variables);
    let mut environment = Environment::start(&program).await.unwrap();
    for _ in 0..2 {
        ask(&mut environment, &case.event(installation)).await.unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
        assert!(environment.rest().await);
    }
    (environment, case)
}

/// Whether the answer is as it should be; what it is if not.
async fn ask(environment: &mut Environment, event: &serde_json::Value) -> Result<(), String> {
    let answer = environment.invoke(event).await.map_err(|error| error.to_string())?;
    let answer = answer.read().await.map_err(|error| error.to_string())?;
    let body = String::from_utf8_lossy(&answer.body);
    // A stream says in an event of its own that it failed.
    if answer.status.is_success() && !body.contains("event: error") {
        Ok(())
    } else {
        Err(format!("{}: {body}", answer.status))
    }
}
