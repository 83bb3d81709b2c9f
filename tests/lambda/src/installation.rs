use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use shared::tenancy::Role;
use tests::TestApp;

use crate::environment::{Environment, Program};

/// How long a function behind API Gateway may take, as the template says.
const TIMEOUT: Duration = Duration::from_secs(29);
/// Beside what the services of this machine are found by, as on AWS.
const AS_DEPLOYED: [(&str, &str); 6] = [
    ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "1"),
    ("DYNAMODB_ATTEMPT_TIMEOUT_MS", ""),
    ("DYNAMODB_OPERATION_TIMEOUT_MS", ""),
    ("LOG_FORMAT", "json"),
    ("LOG_LEVEL", "info"),
    ("METRICS_NAMESPACE", "Ragline/lambda"),
];
const TENANT: &str = "acme";
const USER: &str = "ada";
/// The documents that are there.
const DOCUMENTS: usize = 20;

/// The built functions over the services of a local installation, with some documents.
pub struct Installation {
    app: TestApp,
    programs: PathBuf,
    /// What the authorizer says of the caller.
    vouched: Value,
}

impl Installation {
    /// One with the functions that cargo left in this folder as `<function>`, or cargo-lambda as `<function>/bootstrap`.
    pub async fn start(programs: &Path) -> Self {
        let app = TestApp::start().await;
        for number in 0..DOCUMENTS {
            let text =
                format!("# Tenants\n\nDocument {number} says how tenants are kept apart: each key begins with one.\n");
            app.user(TENANT, USER, Role::Editor).ready(&format!("tenants-{number}.md"), text).await;
        }
        let mut installation = Self { app, programs: programs.to_owned(), vouched: Value::Null };
        let mut authorizer =
            Environment::start(&installation.program("authorizer")).await.expect("the functions are built");
        let answer = authorizer.invoke(&installation.sample("authorizer/token")).await.unwrap().read().await.unwrap();
        let mut answer: Value = serde_json::from_slice(&answer.body).unwrap();
        installation.vouched = answer["context"].take();
        installation
    }

    /// The services, and a way to speak to them without functions.
    pub fn app(&self) -> &TestApp {
        &self.app
    }

    /// A function.
    pub fn program(&self, function: &str) -> Program {
        self.program_with(function, &[])
    }

    /// The same with further variables, which win.
    pub fn program_with(&self, function: &str, variables: &[(&str, &str)]) -> Program {
        let built = self.programs.join(function);
        let command = if built.is_dir() { built.join("bootstrap") } else { built };
        Program {
            function: function.to_owned(),
            command,
            arguments: Vec::new(),
            variables: self.variables(variables),
            timeout: TIMEOUT,
            log: None,
        }
    }

    /// What leads a function to the services, and these variables, which win.
    pub fn variables(&self, further: &[(&str, &str)]) -> Vec<(String, String)> {
        let services = self.app.running().variables().sorted();
        // Of those with the same name the last counts.
        let all = services.into_iter().chain(AS_DEPLOYED).chain(further.iter().copied());
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// A token of the caller of the samples.
    pub fn token(&self) -> String {
        self.app.token(TENANT, USER, Role::Editor)
    }

    /// An event of `events/`, such as `documents/list`, with a caller whom the authorizer let in.
    pub fn sample(&self, name: &str) -> Value {
        let text = tests::data::project_file(&format!("events/{name}.json")).replace("<token>", &self.token());
        let mut event: Value = serde_json::from_str(&text).unwrap();
        if event.get("methodArn").is_none() {
            event["requestContext"]["authorizer"] = self.vouched.clone();
        }
        event
    }
}

/// Where cargo leaves the programs that it builds as it built this one.
pub fn beside_this_program() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    // Tests are one folder further down.
    let folder = this.parent().unwrap();
    if folder.ends_with("deps") { folder.parent().unwrap().to_owned() } else { folder.to_owned() }
}
