//! What went stale, for which tenant.

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::dynamodb::EventRecord;
use serde::Deserialize;
use shared::door::Scope;
use shared::tables::{Kind, Stored};
use shared::tenancy::{InvalidId, TenantId};

/// What went stale for one tenant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stale {
    pub(crate) tenant: TenantId,
    pub(crate) scopes: BTreeSet<Scope>,
    /// The place in the batch of the tenant's first record that made something stale.
    pub(crate) first: usize,
}

/// A record that no retry will make sense of.
#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error("the key is not one of the table: {0}")]
    Key(#[from] serde_dynamo::Error),
    #[error("the tenant {0}")]
    Tenant(#[from] InvalidId),
}

#[derive(Deserialize)]
struct Keys {
    pk: String,
    sk: String,
}

/// What a batch of records made stale, grouped by tenant. A record that cannot be understood is logged and left out, or it
/// would hold up the stream for as long as it is delivered again.
pub(crate) fn by_tenant(records: &[EventRecord]) -> Vec<Stale> {
    let mut tenants = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        match stored(record) {
            Ok(Some(Stored { tenant, kind })) => {
                let new = Stale { tenant: tenant.clone(), scopes: BTreeSet::new(), first: place };
                tenants.entry(tenant).or_insert(new).scopes.extend(scopes(kind));
            }
            Ok(None) => {}
            Err(error) => {
                let sequence_number = record.change.sequence_number.as_deref();
                tracing::warn!(sequence_number, %error, "a record of the stream was skipped");
            }
        }
    }
    tenants.into_values().collect()
}

fn stored(record: &EventRecord) -> Result<Option<Stored>, Malformed> {
    let keys: Keys = serde_dynamo::from_item(record.change.keys.clone())?;
    Ok(Stored::from_key(&keys.pk, &keys.sk)?)
}

/// What is made of items of a kind.
fn scopes(kind: Kind) -> Vec<Scope> {
    match kind {
        // Collections count their documents.
        Kind::Document(id) => vec![Scope::Document(id), Scope::Documents, Scope::Collections, Scope::Search],
        // Profiles name the collections that their user may read, and a search asks all of those.
        Kind::Collection => vec![Scope::Collections, Scope::Search, Scope::Users],
        Kind::User | Kind::Tenant => vec![Scope::Users],
    }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::dynamodb::Event;
    use serde_json::{Value, json};

    use super::*;

    const FIRST: &str = "DOC#01J9ZQ3W6V8Y0ABCDEFGHJKMNP";
    const SECOND: &str = "DOC#01J9ZQ3W6V8Y0ABCDEFGHJKMNQ";

    fn id(sk: &str) -> shared::tenancy::DocumentId {
        sk.trim_start_matches("DOC#").parse().unwrap()
    }

    fn found(keys: &[Value]) -> Vec<Stale> {
        let records: Vec<Value> = keys
            .iter()
            .map(|keys| {
                json!({
                    "eventID": "1", "eventName": "MODIFY", "awsRegion": "us-east-1",
                    "dynamodb": { "Keys": keys, "SequenceNumber": "111", "SizeBytes": 1 },
                })
            })
            .collect();
        let event: Event = serde_json::from_value(json!({ "Records": records })).unwrap();
        by_tenant(&event.records)
    }

    fn key(pk: &str, sk: &str) -> Value {
        json!({ "pk": { "S": pk }, "sk": { "S": sk } })
    }

    fn stale(tenant: &str, first: usize, scopes: &[Scope]) -> Stale {
        Stale { tenant: tenant.parse().unwrap(), first, scopes: scopes.iter().copied().collect() }
    }

    #[test]
    fn each_kind_of_item_makes_its_scopes_stale() {
        use Scope::{Collections, Document, Documents, Search, Users};
        for (sk, scopes) in [
            (FIRST, &[Document(id(FIRST)), Documents, Collections, Search][..]),
            ("COLLECTION#handbook", &[Collections, Search, Users]),
            ("USER#ada", &[Users]),
            ("TENANT", &[Users]),
        ] {
            assert_eq!(found(&[key("T#acme", sk)]), [stale("acme", 0, scopes)], "{sk}");
        }
    }

    #[test]
    fn other_items_make_nothing_stale() {
        for (pk, sk) in [
            ("T#acme", "HASH#default#00"),
            ("T#acme#U#ada", "CONV#01J9ZQ3W6V8Y0ABCDEFGHJKMNP"),
            ("T#acme#CONV#01J9ZQ3W6V8Y0ABCDEFGHJKMNP", "MSG#01J9ZQ3W6V8Y0ABCDEFGHJKMNP"),
            ("HEALTH", "HEALTH"),
        ] {
            assert_eq!(found(&[key(pk, sk)]), [], "{pk} {sk}");
        }
    }

    #[test]
    fn a_batch_is_grouped_by_tenant_from_its_first_record_on() {
        let batch = [
            key("T#globex", "HASH#default#00"),
            key("T#initech", "USER#ada"),
            key("T#acme", "TENANT"),
            key("T#globex", FIRST),
            key("T#acme", "COLLECTION#handbook"),
            key("T#globex", SECOND),
        ];
        let one = [FIRST, SECOND].map(|sk| Scope::Document(id(sk)));
        let documents = [&one[..], &[Scope::Documents, Scope::Collections, Scope::Search]].concat();
        let expected = [
            stale("acme", 2, &[Scope::Collections, Scope::Search, Scope::Users]),
            stale("globex", 3, &documents),
            stale("initech", 1, &[Scope::Users]),
        ];
        assert_eq!(found(&batch), expected);
    }

    #[test]
    fn a_record_that_cannot_be_understood_does_not_keep_the_others_from_being_worked_off() {
        let batch = [
            json!({}),
            json!({ "pk": { "S": "T#acme" } }),
            json!({ "pk": { "N": "1" }, "sk": { "S": FIRST } }),
            key("T#no such tenant", FIRST),
            key("T#acme", "DOC#1"),
            key("T#acme", "USER#ada"),
        ];
        assert_eq!(found(&batch), [stale("acme", 5, &[Scope::Users])]);
    }
}
