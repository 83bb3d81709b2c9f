//! The lives of environments, with a function that does as it is told.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lambda::{Answer, Environment, Function, InvokeError, Keeping, Program, is_stopped};
use serde_json::{Value, json};
use tokio::time::sleep;

const KEEPING: Keeping = Keeping { environments: 2, invocations: None, freezing: true };

pub(crate) fn scripted(function: &str) -> Program {
    Program {
        function: function.to_owned(),
        command: PathBuf::from(env!("CARGO_BIN_EXE_scripted")),
        arguments: Vec::new(),
        variables: vec![("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH".to_owned(), "1".to_owned())],
        timeout: Duration::from_secs(20),
        log: None,
    }
}

/// A request that tells the function to do something.
fn told(what: &str) -> Value {
    let mut event: Value = serde_json::from_str(&tests::data::project_file("events/documents/list.json")).unwrap();
    event["queryStringParameters"] = json!({ "do": what });
    event["multiValueQueryStringParameters"] = json!({ "do": [what] });
    event
}

/// The process that answered.
fn pid(answer: Result<Answer, InvokeError>) -> i64 {
    let Answer::Buffered(answer) = answer.unwrap() else { panic!("it is not streamed") };
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    body["pid"].as_i64().unwrap()
}

/// Waits until the last process that was started stands still.
async fn frozen(function: &Function) -> i32 {
    let pid = *function.started().last().unwrap();
    while !is_stopped(pid).unwrap() {
        sleep(Duration::from_millis(5)).await;
    }
    pid
}

#[tokio::test]
async fn an_environment_is_used_again_and_another_starts_when_it_is_busy() {
    let function = Function::new(scripted("documents"), KEEPING);
    let first = pid(function.invoke(told("answer")).await);
    frozen(&function).await;
    assert_eq!(pid(function.invoke(told("answer")).await), first);
    frozen(&function).await;

    let (one, other) = tokio::join!(function.invoke(told("wait")), function.invoke(told("wait")));
    assert_ne!(pid(one), pid(other));
    assert_eq!(function.started().len(), 2);
}

#[tokio::test]
async fn more_events_at_a_time_than_environments_are_turned_away() {
    let function = Function::new(scripted("documents"), KEEPING);
    let three = [(); 3].map(|()| function.invoke(told("wait")));
    let outcomes = futures::future::join_all(three).await;
    assert!(matches!(outcomes[2], Err(InvokeError::Throttled)), "{:?}", outcomes[2]);
    assert!(outcomes[..2].iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_frozen_environment_does_nothing_until_its_next_event() {
    let mut environment = Environment::start(&scripted("documents")).await.unwrap();
    let first = pid(environment.invoke(&told("answer")).await);
    assert!(environment.rest().await);
    environment.freeze().unwrap();
    while !is_stopped(environment.pid()).unwrap() {
        sleep(Duration::from_millis(5)).await;
    }
    let before = environment.usage().unwrap().cpu;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(environment.usage().unwrap().cpu, before);
    assert_eq!(pid(environment.invoke(&told("answer")).await), first);
}

#[tokio::test]
async fn a_function_that_dies_fails_its_event_and_another_takes_its_place() {
    let function = Function::new(scripted("documents"), KEEPING);
    let first = pid(function.invoke(told("answer")).await);
    frozen(&function).await;
    let Err(InvokeError::Ended(status)) = function.invoke(told("die")).await else { panic!("it has died") };
    assert_eq!(status.signal(), Some(6));
    assert_ne!(pid(function.invoke(told("answer")).await), first);

    // One that dies while it rests is not missed.
    let rested = frozen(&function).await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(rested), nix::sys::signal::SIGKILL).unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_ne!(pid(function.invoke(told("answer")).await), i64::from(rested));
}

#[tokio::test]
async fn an_environment_ends_after_as_many_events_as_it_may_have() {
    let function = Function::new(scripted("documents"), Keeping { invocations: Some(2), environments: 1, ..KEEPING });
    let mut pids = Vec::new();
    while pids.len() < 5 {
        match function.invoke(told("answer")).await {
            Err(InvokeError::Throttled) => sleep(Duration::from_millis(5)).await,
            answer => pids.push(pid(answer)),
        }
    }
    assert!(pids[0] == pids[1] && pids[2] == pids[3], "{pids:?}");
    assert!(pids[1] != pids[2] && pids[3] != pids[4], "{pids:?}");
    let gone = |pid: i64| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    assert!(gone(pids[0]) && gone(pids[2]));
}

#[tokio::test]
async fn one_that_takes_too_long_is_ended() {
    let program = Program { timeout: Duration::from_millis(200), ..scripted("documents") };
    let function = Function::new(program, KEEPING);
    let outcome = function.invoke(told("wait")).await;
    assert!(matches!(outcome, Err(InvokeError::TimedOut)), "{outcome:?}");
    pid(function.invoke(told("answer")).await);
    assert_eq!(function.started().len(), 2);
}

#[tokio::test]
async fn what_a_function_says_of_its_failure_is_heard() {
    let function = Function::new(scripted("documents"), KEEPING);
    let Err(InvokeError::Failed(failure)) = function.invoke(told("fail")).await else { panic!("it was told to fail") };
    assert_eq!(failure.error_message, "it was told to");
    // It goes on.
    frozen(&function).await;
    pid(function.invoke(told("answer")).await);
    assert_eq!(function.started().len(), 1);
}

#[tokio::test]
async fn nobody_who_waits_is_needed_for_an_event_to_come_to_its_end() {
    let function = Function::new(scripted("documents"), Keeping { environments: 1, ..KEEPING });
    let hasty = tokio::time::timeout(Duration::from_millis(100), function.invoke(told("wait"))).await;
    assert!(hasty.is_err());
    assert!(matches!(function.invoke(told("answer")).await, Err(InvokeError::Throttled)), "it still works");
    frozen(&function).await;
    pid(Arc::clone(&function).invoke(told("answer")).await);
    assert_eq!(function.started().len(), 1);
}

#[tokio::test]
async fn a_program_that_is_no_function_does_not_start() {
    let ends = Environment::start(&Program { command: PathBuf::from("/bin/false"), ..scripted("documents") }).await;
    assert!(matches!(ends, Err(InvokeError::Init(status)) if status.code() == Some(1)));
    let absent = Environment::start(&Program { command: PathBuf::from("/nowhere"), ..scripted("documents") }).await;
    assert!(matches!(absent, Err(InvokeError::Process(_))));
}
