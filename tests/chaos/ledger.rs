//! What was acknowledged, and whether it holds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{Heard, Tenant, World, code};

/// The longest that anything may take to come to its end. A message that failed waits for up to 15 seconds in all.
const LIMIT: Duration = Duration::from_mins(1);
/// The wait before something is looked at again.
const AGAIN: Duration = Duration::from_millis(50);

/// The uploads of a tenant by their number, and the answers that broke off.
#[derive(Default)]
pub(crate) struct Ledger {
    fates: BTreeMap<usize, Fate>,
    pub(crate) cut: Vec<Cut>,
}

enum Fate {
    /// Nothing was acknowledged, so it may be there or not.
    Sent,
    Accepted(String),
    /// Its deletion was asked for, and not acknowledged.
    Going(String),
    Gone(String),
}

/// An answer that broke off.
#[derive(Clone)]
pub(crate) struct Cut {
    /// Who had asked.
    pub(crate) user: usize,
    pub(crate) conversation: String,
    /// What was said until then.
    pub(crate) said: String,
}

impl Ledger {
    pub(crate) fn sent(&mut self, number: usize) {
        self.fates.entry(number).or_insert(Fate::Sent);
    }

    pub(crate) fn accepted(&mut self, number: usize, id: String) {
        self.fates.insert(number, Fate::Accepted(id));
    }

    pub(crate) fn gone(&mut self, number: usize) {
        if let Some(Fate::Accepted(id) | Fate::Going(id)) = self.fates.remove(&number) {
            self.fates.insert(number, Fate::Gone(id));
        }
    }

    /// A document that is not going to be deleted; the one of this number if there is one.
    pub(crate) fn kept(&self, number: usize) -> String {
        let kept: Vec<_> = self.documents().into_iter().filter(|(number, _)| number % 2 == 0).collect();
        kept[number % kept.len()].1.clone()
    }

    /// The next document whose deletion is asked for.
    pub(crate) fn next_to_go(&mut self) -> Option<(usize, String)> {
        let (number, id) = self.documents().into_iter().find(|(number, _)| number % 2 == 1)?;
        self.fates.insert(number, Fate::Going(id.clone()));
        Some((number, id))
    }

    /// The documents whose deletion was acknowledged.
    pub(crate) fn deleted(&self) -> Vec<String> {
        self.fates.values().filter_map(|fate| if let Fate::Gone(id) = fate { Some(id.clone()) } else { None }).collect()
    }

    /// The documents that were acknowledged, with their numbers.
    pub(crate) fn documents(&self) -> Vec<(usize, String)> {
        let accepted = |(number, fate): (&usize, &Fate)| match fate {
            Fate::Accepted(id) => Some((*number, id.clone())),
            _ => None,
        };
        self.fates.iter().filter_map(accepted).collect()
    }

    fn unanswered(&self) -> Vec<usize> {
        self.fates.iter().filter(|(_, fate)| matches!(fate, Fate::Sent)).map(|(number, _)| *number).collect()
    }

    fn going(&self) -> Vec<(usize, String)> {
        let going = |(number, fate): (&usize, &Fate)| match fate {
            Fate::Going(id) => Some((*number, id.clone())),
            _ => None,
        };
        self.fates.iter().filter_map(going).collect()
    }
}

/// Repeats what was not acknowledged, as users do, waits until all is done, and says what does not hold.
pub(crate) async fn check(world: &World, settles: bool) -> Vec<String> {
    let mut broken = Vec::new();
    for tenant in &world.tenants {
        let found = check_tenant(world, tenant, settles).await;
        broken.extend(found.into_iter().map(|what| format!("{}: {what}", tenant.name)));
    }
    broken
}

async fn check_tenant(world: &World, tenant: &Tenant, settles: bool) -> Vec<String> {
    let mut broken = Vec::new();
    let unanswered = tenant.ledger().unanswered();
    for number in unanswered {
        if !is_soon(async || world.upload(tenant, 0, number).await.is_done()).await {
            broken.push(format!("upload {number} cannot be repeated"));
        }
    }
    let going = tenant.ledger().going();
    for (number, id) in going {
        if !is_soon(async || world.delete(tenant, 0, number, &id).await.is_done()).await {
            broken.push(format!("the deletion of {id} cannot be repeated"));
        }
    }
    let documents = tenant.ledger().documents();
    let deleted = tenant.ledger().deleted();
    for (number, id) in &documents {
        broken.extend(check_document(world, tenant, *number, id).await);
    }
    broken.extend(check_list(world, tenant, &documents, &deleted).await);
    let cut = tenant.ledger().cut.clone();
    for cut in &cut {
        broken.extend(check_cut(world, tenant, cut, settles).await);
    }
    let usage = async || body(world.usage(tenant).await);
    if settles && !is_soon(async || usage().await["daily_tokens"]["reserved"] == 0).await {
        broken.push("a budget was not settled".to_owned());
    }
    if !is_soon(async || usage().await["documents"] == documents.len()).await {
        broken.push(format!("usage does not count {} documents", documents.len()));
    }
    broken
}

/// A document that was accepted is ready, once, and found.
async fn check_document(world: &World, tenant: &Tenant, number: usize, id: &str) -> Option<String> {
    let mut document = Value::Null;
    let started = Instant::now();
    while document["status"] != "ready" && document["status"] != "failed" && started.elapsed() < LIMIT {
        document = body(world.get(tenant, 0, &format!("/documents/{id}")).await);
        tokio::time::sleep(AGAIN).await;
    }
    if document["status"] != "ready" {
        return Some(format!("upload {number} is lost: {document}"));
    }
    let chunks = body(world.get(tenant, 0, &format!("/documents/{id}/chunks")).await);
    let query = json!({ "query": code(number), "limit": 50 });
    let found = body(world.call(tenant, 0, reqwest::Method::POST, "/search", &query).await);
    let count = |list: &Value, name: &str, value: &str| {
        list["data"].as_array().map_or(0, |all| all.iter().filter(|entry| entry[name] == value).count())
    };
    let (stored, found) = (chunks["data"].as_array().map_or(0, Vec::len), count(&found, "document_id", id));
    let of_document = (stored, found) == (1, 1);
    (!of_document).then(|| format!("upload {number} has {stored} passages, and is found {found} times"))
}

/// The list shows what was accepted, each once, and nothing else.
async fn check_list(
    world: &World,
    tenant: &Tenant,
    documents: &[(usize, String)],
    deleted: &[String],
) -> Option<String> {
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = body(world.get(tenant, 1, &format!("/documents?limit=100{cursor}")).await);
        let ids = page["data"].as_array().cloned().unwrap_or_default();
        listed.extend(ids.iter().filter_map(|document| document["id"].as_str().map(str::to_owned)));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut expected: Vec<_> = documents.iter().map(|(_, id)| id.clone()).collect();
    listed.sort();
    expected.sort();
    if let Some(id) = listed.iter().find(|id| deleted.contains(id)) {
        return Some(format!("{id} was deleted and is back"));
    }
    (listed != expected).then(|| format!("{} documents are listed instead of {}", listed.len(), expected.len()))
}

/// What was said of an answer that broke off is kept, where the database was there to keep it.
async fn check_cut(world: &World, tenant: &Tenant, cut: &Cut, settles: bool) -> Option<String> {
    let kept = body(world.get(tenant, cut.user, &format!("/conversations/{}", cut.conversation)).await);
    let answer = &kept["messages"][1];
    let is_kept = (&answer["content"], &answer["finish_reason"]) == (&json!(cut.said), &json!("error"));
    (settles && !is_kept).then(|| format!("an answer that broke off is kept as {answer}, and said {:?}", cut.said))
}

fn body(heard: Option<Heard>) -> Value {
    heard.filter(|heard| heard.status == 200).map_or(Value::Null, |heard| heard.json())
}

async fn is_soon(holds: impl AsyncFn() -> bool) -> bool {
    let started = Instant::now();
    while !holds().await {
        if started.elapsed() > LIMIT {
            return false;
        }
        tokio::time::sleep(AGAIN).await;
    }
    true
}
