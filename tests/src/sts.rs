use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use http::StatusCode;
use reqwest::Url;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A Security Token Service whose sessions have access keys that name their tenants and count: `acme.1`, `acme.2`.
pub struct Sts {
    url: String,
    manner: Arc<Mutex<Manner>>,
    _server: JoinSet<()>,
}

struct Manner {
    life: Duration,
    delay: Duration,
    refuses: bool,
    /// The tenants for which it was asked.
    asked: Vec<String>,
}

impl Sts {
    /// The role that it knows.
    pub const ROLE: &'static str = "arn:aws:iam::123456789012:role/ragline-tenant";

    /// One that gives sessions of an hour.
    pub async fn start() -> Self {
        let manner = Manner { life: Duration::from_hours(1), delay: Duration::ZERO, refuses: false, asked: Vec::new() };
        let manner = Arc::new(Mutex::new(manner));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(assume).with_state(Arc::clone(&manner));
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, manner, _server: server }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How long sessions last from now on.
    pub fn set_life(&self, life: Duration) {
        self.manner.lock().unwrap().life = life;
    }

    /// From now on it takes so long to answer.
    pub fn set_delay(&self, delay: Duration) {
        self.manner.lock().unwrap().delay = delay;
    }

    /// Whether it refuses from now on.
    pub fn set_refusal(&self, refuses: bool) {
        self.manner.lock().unwrap().refuses = refuses;
    }

    /// The tenants for which it was asked so far, in order.
    pub fn asked(&self) -> Vec<String> {
        self.manner.lock().unwrap().asked.clone()
    }
}

async fn assume(State(manner): State<Arc<Mutex<Manner>>>, body: String) -> (StatusCode, String) {
    let form = Url::parse(&format!("form:?{body}")).unwrap();
    let form: HashMap<String, String> = form.query_pairs().into_owned().collect();
    assert_eq!((form["Action"].as_str(), form["RoleArn"].as_str()), ("AssumeRole", Sts::ROLE));
    assert_eq!((form["DurationSeconds"].as_str(), form["Tags.member.1.Key"].as_str()), ("3600", "tenant"));
    assert!(!form.contains_key("Tags.member.2.Key"), "{form:?}");
    let tenant = &form["Tags.member.1.Value"];
    let (life, delay, refuses, number) = {
        let mut manner = manner.lock().unwrap();
        manner.asked.push(tenant.clone());
        let number = manner.asked.iter().filter(|asked| *asked == tenant).count();
        (manner.life, manner.delay, manner.refuses, number)
    };
    tokio::time::sleep(delay).await;
    if refuses {
        let error = "<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error>";
        return (StatusCode::FORBIDDEN, format!("<ErrorResponse>{error}</ErrorResponse>"));
    }
    let expiration = (OffsetDateTime::now_utc() + life).format(&Rfc3339).unwrap();
    let name = &form["RoleSessionName"];
    let answer = format!(
        "<AssumeRoleResponse><AssumeRoleResult>\
         <Credentials><AccessKeyId>{tenant}.{number}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
         <SessionToken>token</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROA:{name}</AssumedRoleId><Arn>{}/{name}</Arn></AssumedRoleUser>\
         </AssumeRoleResult></AssumeRoleResponse>",
        Sts::ROLE
    );
    (StatusCode::OK, answer)
}
