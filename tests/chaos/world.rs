//! The tenants with their users, what they do, and whether what they see is right.

use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use local::{DataFolder, Issuer, TokenClaims};
use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{User, events, form};
use time::OffsetDateTime;

use crate::ledger::{Cut, Ledger};
use crate::load::{Act, Seen};

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
/// The document of each tenant that is renamed again and again. Those with even numbers are never deleted.
pub(crate) const RENAMED: usize = 0;
/// What each tenant has from the beginning.
const FIRST: usize = 4;
/// The longest that anybody waits for an answer.
const LIMIT: Duration = Duration::from_mins(1);
/// The longest text of an answer that is shown.
const SHOWN: usize = 200;

/// All who use an installation.
pub(crate) struct World {
    pub(crate) tenants: Vec<Tenant>,
    http: reqwest::Client,
    url: RwLock<String>,
}

/// A tenant.
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    users: [String; 2],
    owner: String,
    /// What was acknowledged.
    pub(crate) ledger: Mutex<Ledger>,
    /// The latest name that was given to the document which is renamed.
    renames: tokio::sync::Mutex<usize>,
}

/// An answer.
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) text: String,
    retry_after: bool,
    cache: String,
}

impl Heard {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Tenant {
    fn new(name: &'static str, issuer: &Issuer) -> Self {
        let token = |user: &str, role| {
            let claims = TokenClaims { tenant: name.parse().unwrap(), user: user.parse().unwrap(), role };
            issuer.token(&claims, OffsetDateTime::now_utc()).unwrap()
        };
        Self {
            name,
            users: [token("ada", Role::Editor), token("bob", Role::Editor)],
            owner: token("olga", Role::Owner),
            ledger: Mutex::default(),
            renames: tokio::sync::Mutex::default(),
        }
    }

    /// What is known to be acknowledged right now.
    pub(crate) fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sentence that stands in all of its documents, and nowhere else.
    fn mark(&self) -> String {
        format!("Only {} knows", self.name)
    }

    fn content(&self, number: usize) -> String {
        let mark = self.mark();
        format!("# Report {number}\n\n{mark} that the pump {} was mended while ducks swam on the lake.\n", code(number))
    }
}

/// A word that stands in one document of each tenant.
pub(crate) fn code(number: usize) -> String {
    format!("QX-{number}-7")
}

impl World {
    /// Those who may use the installation in this folder.
    pub(crate) fn new(folder: &Path, url: &str) -> Self {
        let issuer = Issuer::open(&DataFolder::open(folder).unwrap()).unwrap();
        Self {
            tenants: TENANTS.map(|name| Tenant::new(name, &issuer)).into(),
            http: reqwest::Client::builder().timeout(LIMIT).build().unwrap(),
            url: RwLock::new(url.to_owned()),
        }
    }

    /// From now on the installation is here.
    pub(crate) fn moved_to(&self, url: &str) {
        url.clone_into(&mut self.url.write().unwrap());
    }

    /// Gives each tenant its first documents.
    pub(crate) async fn settle_in(&self) {
        for tenant in &self.tenants {
            for number in 0..FIRST {
                assert!(self.upload(tenant, 0, number).await.is_done());
            }
        }
    }

    /// Does this, and looks whether what is seen is right.
    pub(crate) async fn act(&self, act: Act, tenant: usize, number: usize) -> Seen {
        let (foreign, tenant) = (&self.tenants[(tenant + 1) % self.tenants.len()], &self.tenants[tenant]);
        let user = number / self.tenants.len() % 2;
        let deleted = tenant.ledger().deleted();
        match act {
            Act::List => self.shows(tenant, &deleted, self.get(tenant, user, "/documents?limit=50").await.as_ref()),
            Act::Read => {
                let id = tenant.ledger().kept(number);
                self.shows(tenant, &[], self.get(tenant, user, &format!("/documents/{id}")).await.as_ref())
            }
            Act::Search => {
                let query = if number.is_multiple_of(2) {
                    "what do ducks do?".to_owned()
                } else {
                    format!("the pump {number}")
                };
                let query = json!({ "query": query });
                let found = self.call(tenant, user, Method::POST, "/search", &query).await;
                self.shows(tenant, &deleted, found.as_ref())
            }
            Act::Chat => self.chat(tenant, user, &deleted, number).await,
            Act::Upload => self.upload(tenant, user, FIRST + number).await,
            Act::Rename => self.rename(tenant, user).await,
            Act::Delete => {
                let next = tenant.ledger().next_to_go();
                let Some((number, id)) = next else { return Seen::Served };
                self.delete(tenant, user, number, &id).await
            }
            Act::ReadDeleted => match deleted.get(number % deleted.len().max(1)) {
                Some(id) => seen(self.get(tenant, user, &format!("/documents/{id}")).await.as_ref(), &[404]),
                None => Seen::Served,
            },
            Act::ReadForeign => {
                let id = foreign.ledger().kept(number);
                seen(self.get(tenant, user, &format!("/documents/{id}")).await.as_ref(), &[404])
            }
        }
    }

    pub(crate) async fn upload(&self, tenant: &Tenant, user: usize, number: usize) -> Seen {
        tenant.ledger().sent(number);
        let (kind, body) = form(&format!("report-{number}.md"), tenant.content(number).as_bytes(), &[]);
        let heard = self.send(&tenant.users[user], Method::POST, "/documents/upload", &kind, body).await;
        let seen = seen(heard.as_ref(), &[200, 202]);
        if let Some(heard) = heard.filter(|_| seen.is_done()) {
            let id = heard.json()["document"]["id"].as_str().unwrap_or_default().to_owned();
            tenant.ledger().accepted(number, id);
        }
        seen
    }

    /// Once it is acknowledged nobody may see the document.
    pub(crate) async fn delete(&self, tenant: &Tenant, user: usize, number: usize, id: &str) -> Seen {
        let path = format!("/documents/{id}");
        // If it was asked for before, it may be gone already.
        let heard = self.call(tenant, user, Method::DELETE, &path, &Value::Null).await;
        let deleted = seen(heard.as_ref(), &[202, 404]);
        if !deleted.is_done() {
            return deleted;
        }
        tenant.ledger().gone(number);
        match seen(self.get(tenant, user, &path).await.as_ref(), &[404]) {
            Seen::Wrong(what) => Seen::Wrong(format!("after its deletion: {what}")),
            _ => deleted,
        }
    }

    /// Once it is acknowledged everybody must see a name that is no older.
    async fn rename(&self, tenant: &Tenant, user: usize) -> Seen {
        let mut renames = tenant.renames.lock().await;
        *renames += 1;
        let path = format!("/documents/{}", tenant.ledger().kept(RENAMED));
        let name = json!({ "filename": format!("{}.md", *renames) });
        let heard = self.call(tenant, user, Method::PATCH, &path, &name).await;
        let renamed = seen(heard.as_ref(), &[200]);
        if !renamed.is_done() {
            return renamed;
        }
        let Some(heard) = self.get(tenant, 1 - user, &path).await.filter(|heard| heard.status == 200) else {
            return renamed;
        };
        let shown = heard.json()["filename"].as_str().and_then(|name| name.strip_suffix(".md")?.parse().ok());
        if shown >= Some(*renames) { renamed } else { Seen::Wrong(format!("renamed to {renames}, shown {shown:?}")) }
    }

    async fn chat(&self, tenant: &Tenant, user: usize, deleted: &[String], number: usize) -> Seen {
        let question = json!({ "message": format!("What of pump {number}?") });
        let heard = self.call(tenant, user, Method::POST, "/chat", &question).await;
        let heard = match (self.shows(tenant, deleted, heard.as_ref()), heard) {
            (seen, Some(heard)) if seen.is_done() => heard,
            (seen, _) => return seen,
        };
        let all = events(&heard.text);
        let of = |name: &str| all.iter().find(|event| event.name == name).map(|event| &event.data);
        let said: String =
            all.iter().filter(|event| event.name == "delta").filter_map(|event| event.data["text"].as_str()).collect();
        match (of("done").and_then(|done| done["finish_reason"].as_str()), of("error"), of("start")) {
            (Some("stop" | "length"), None, _) if !said.is_empty() => Seen::Served,
            (Some("error"), Some(problem), Some(start)) => {
                let conversation = start["conversation_id"].as_str().unwrap_or_default().to_owned();
                tenant.ledger().cut.push(Cut { user, conversation, said });
                Seen::Failed(problem["code"].as_str().unwrap_or_default().to_owned())
            }
            _ => Seen::Wrong(format!("a stream without its end: {}", short(&heard.text))),
        }
    }

    /// Whether it was answered, and shows nothing of another tenant, nor what was deleted before it was asked for.
    fn shows(&self, tenant: &Tenant, deleted: &[String], heard: Option<&Heard>) -> Seen {
        let seen = seen(heard, &[200]);
        let text = heard.map_or("", |heard| heard.text.as_str());
        let of_others = self.tenants.iter().filter(|other| other.name != tenant.name);
        if let Some(other) = of_others.map(Tenant::mark).find(|mark| text.contains(mark)) {
            return Seen::Wrong(format!("{} sees: {other}", tenant.name));
        }
        match deleted.iter().find(|id| text.contains(*id)) {
            Some(id) => Seen::Wrong(format!("{id} was deleted")),
            None => seen,
        }
    }

    pub(crate) async fn get(&self, tenant: &Tenant, user: usize, path: &str) -> Option<Heard> {
        self.call(tenant, user, Method::GET, path, &Value::Null).await
    }

    /// What the owner of a tenant is told of its use.
    pub(crate) async fn usage(&self, tenant: &Tenant) -> Option<Heard> {
        self.send(&tenant.owner, Method::GET, "/usage", "", Vec::new()).await
    }

    pub(crate) async fn call(
        &self,
        tenant: &Tenant,
        user: usize,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Option<Heard> {
        let (kind, body) =
            if body.is_null() { ("", Vec::new()) } else { ("application/json", body.to_string().into_bytes()) };
        self.send(&tenant.users[user], method, path, kind, body).await
    }

    /// The answer; none if there is none.
    async fn send(&self, token: &str, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Option<Heard> {
        let url = self.url.read().unwrap().clone();
        let user = User::new(&self.http, url, Some(token.to_owned()));
        let response = user.try_send(method, path, kind, body).await.ok()?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (retry_after, cache) = (header("retry-after").is_some(), header("cache-status").unwrap_or_default());
        Some(Heard { status, retry_after, cache, text: response.text().await.ok()? })
    }
}

/// What an answer is that should have one of these statuses.
fn seen(heard: Option<&Heard>, wanted: &[u16]) -> Seen {
    let Some(heard) = heard else { return Seen::Unanswered };
    let code = || heard.json()["code"].as_str().unwrap_or_default().to_owned();
    match heard.status {
        status if wanted.contains(&status) && heard.cache.contains("bypass") => Seen::Bypassed,
        status if wanted.contains(&status) => Seen::Served,
        503 if heard.retry_after && code() == "unavailable" => Seen::Refused,
        status => Seen::Wrong(format!("{status} {}", short(&heard.text))),
    }
}

fn short(text: &str) -> String {
    text.chars().rev().take(SHOWN).collect::<Vec<_>>().into_iter().rev().collect()
}
