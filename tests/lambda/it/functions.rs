//! The functions themselves behind the gateway, in environments that start, are frozen, recycled and killed. `make lambda` builds
//! the functions and runs these.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lambda::freeze::{self, Plan};
use lambda::{Environment, Function, Gateway, Installation, Keeping, beside_this_program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tests::{Answer, Proxy, User};
use tokio::time::sleep;

const API: [&str; 7] = ["authorizer", "chat", "documents", "health", "search", "upload", "users"];
const KEEPING: Keeping = Keeping { environments: 4, invocations: None, freezing: true };
/// How long an answer of the database takes while a function is to be killed before it has it.
const SLOW: Duration = Duration::from_secs(1);
/// How a call of the database begins.
const CALL: &str = "POST / HTTP/1.1";

struct Front {
    installation: Installation,
    /// What stands between the database and one of the functions.
    dynamodb: Proxy,
    functions: HashMap<String, Arc<Function>>,
    gateway: Gateway,
    http: Client,
}

impl Front {
    /// All functions of the API, the one of this name behind a proxy of the database.
    async fn start(keeping: Keeping, harmed: &str) -> Self {
        let installation = Installation::start(&beside_this_program()).await;
        let dynamodb = Proxy::start(installation.app().dynamodb_endpoint()).await;
        let function = |name| {
            let variables: &[_] = if name == harmed { &[("DYNAMODB_ENDPOINT", &*dynamodb.url())] } else { &[] };
            Function::new(installation.program_with(name, variables), keeping)
        };
        let functions: HashMap<_, _> = API.map(|name| (name.to_owned(), function(name))).into();
        Self {
            gateway: Gateway::start(functions.clone()).await,
            installation,
            dynamodb,
            functions,
            http: Client::new(),
        }
    }

    /// Someone who reads from the database, whatever is cached.
    fn ada(&self) -> User<'_> {
        User::new(&self.http, self.gateway.url(), Some(self.installation.token())).with("cache-control", "no-cache")
    }

    fn nobody(&self) -> User<'_> {
        User::new(&self.http, self.gateway.url(), None)
    }

    /// The answer to a request whose function, the one that is harmed, is killed after so many calls of the database, before it
    /// has the answer to the last. An environment of it was started before.
    async fn killed(&self, function: &str, calls: usize, request: impl Future<Output = Answer>) -> Answer {
        // It may have answered and not yet asked for the next event; another environment would be started for that.
        let pid = loop {
            match self.functions[function].resting() {
                Some(pid) => break pid,
                None => sleep(Duration::from_millis(5)).await,
            }
        };
        let before = self.dynamodb.occurrences(CALL);
        self.dynamodb.delay(Duration::ZERO, SLOW);
        let killing = async {
            while self.dynamodb.occurrences(CALL) < before + calls {
                sleep(Duration::from_millis(5)).await;
            }
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        };
        let mut request = pin!(request);
        let answer = tokio::select! {
            answer = &mut request => panic!("answered after fewer than {calls} calls: {answer:?}"),
            () = killing => request.await,
        };
        self.dynamodb.delay(Duration::ZERO, Duration::ZERO);
        answer
    }
}

#[tokio::test]
#[ignore = "needs the functions: make lambda"]
async fn the_api_is_answered_by_functions_that_are_frozen_between_requests() {
    let front = Front::start(KEEPING, "documents").await;
    for _ in 0..2 {
        let list = front.ada().get("/documents").await.expect(200).body;
        assert_eq!(list["data"].as_array().unwrap().len(), 20);
        assert!(!front.ada().search("tenants apart").await.is_empty());
        assert_eq!(front.ada().get("/users/me").await.expect(200).body["id"], "ada");
        front.nobody().get("/health/ready").await.expect(200);

        let message = json!({ "message": "How are tenants kept apart?" }).to_string();
        let chat = front.ada().send(Method::POST, "/chat", "application/json", message.into()).await;
        let text = chat.text().await.unwrap();
        assert!(text.contains("event: start") && text.contains("event: done"), "{text}");
    }
    for (name, function) in &front.functions {
        // The authorizer has its next event at once, perhaps before it rests.
        let most = if name == "authorizer" { 2 } else { 1 };
        assert!(function.started().len() <= most, "{name} was not used again");
    }
    front.nobody().get("/documents").await.expect(401);
}

#[tokio::test]
#[ignore = "needs the functions: make lambda"]
async fn a_function_that_is_killed_fails_that_request_only() {
    let front = Front::start(KEEPING, "documents").await;
    front.ada().get("/documents").await.expect(200);
    front.killed("documents", 1, front.ada().get("/documents")).await.expect(502);
    front.ada().get("/documents").await.expect(200);
    assert_eq!(front.functions["documents"].started().len(), 2);
}

#[tokio::test]
#[ignore = "needs the functions: make lambda"]
async fn an_upload_whose_function_is_killed_happens_once_when_it_is_repeated() {
    let front = Front::start(KEEPING, "upload").await;
    let upload = async |name: String| {
        let text = format!("Killed in the midst of {name}.");
        let ada = front.ada().with("idempotency-key", &format!("\"{name}\""));
        ada.upload_with(&format!("{name}.txt"), text.as_bytes(), &[]).await
    };
    // Later and later in an upload.
    let names = [1, 2, 3, 4].map(|calls| (calls, format!("call-{calls}")));
    for (calls, name) in names.clone() {
        upload(format!("before-{calls}")).await.expect(202);
        front.killed("upload", calls, upload(name)).await.expect(502);
    }
    for (_, name) in names {
        let mut answer = upload(name.clone()).await;
        // Whoever was killed seems to work on it for a while.
        while answer.status == 409 {
            sleep(Duration::from_millis(500)).await;
            answer = upload(name.clone()).await;
        }
        // It may have entered the document before it was killed.
        let status = if answer.body["duplicate"] == true { 200 } else { 202 };
        let id = answer.expect(status).body["document"]["id"].as_str().unwrap().to_owned();
        assert_eq!(front.ada().worked_off(&id).await["status"], "ready", "{name}");
        let list = front.ada().get("/documents?limit=100").await.expect(200).body;
        let is_named = |document: &&Value| document["filename"] == format!("{name}.txt");
        assert_eq!(list["data"].as_array().unwrap().iter().filter(is_named).count(), 1, "{name}: {list}");
    }
}

#[tokio::test]
#[ignore = "needs the functions: make lambda"]
async fn environments_that_are_recycled_fail_no_request() {
    let keeping = Keeping { invocations: Some(3), ..KEEPING };
    let front = Front::start(keeping, "documents").await;
    for _ in 0..30 {
        front.ada().get("/documents").await.expect(200);
        // The one that ends takes its place until it has.
        sleep(Duration::from_millis(20)).await;
    }
    assert!(front.functions["documents"].started().len() >= 10);
}

#[tokio::test]
#[ignore = "needs the functions: make lambda"]
async fn a_function_ends_when_it_is_told_to_even_if_it_was_frozen() {
    let installation = Installation::start(&beside_this_program()).await;
    for name in API {
        let mut environment = Environment::start(&installation.program(name)).await.unwrap();
        environment.freeze().unwrap();
        assert!(environment.end().await.unwrap().is_some(), "{name} had to be killed");
    }
}

#[tokio::test]
#[ignore = "needs the functions: make lambda"]
async fn the_first_request_after_a_freeze_is_answered_in_time_though_all_connections_were_dropped() {
    let plan = Plan { times: vec![Duration::from_secs(1)], environments: 32 };
    let report = freeze::run(&Installation::start(&beside_this_program()).await, &plan).await;
    println!("{report}");
    assert!(report.is_kept());
}
