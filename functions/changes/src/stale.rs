//! What went stale, for which tenant.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use shared::auth::Claims;
use shared::door::Scope;
use shared::tables::Kind;
use shared::tenancy::TenantId;

use crate::change::{Change, Malformed};

/// What went stale for one tenant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stale {
    pub(crate) tenant: TenantId,
    pub(crate) scopes: BTreeSet<Scope>,
    /// The place in the batch of the tenant's first record that made something stale.
    pub(crate) first: usize,
}

/// What a batch of changes made stale, grouped by tenant; each with its place in the batch.
pub(crate) fn by_tenant(changes: &[(usize, Change)]) -> Vec<Stale> {
    let mut tenants = BTreeMap::new();
    for (place, change) in changes {
        let scopes = scopes(change);
        if !scopes.is_empty() {
            let new = Stale { tenant: change.tenant.clone(), scopes: BTreeSet::new(), first: *place };
            tenants.entry(change.tenant.clone()).or_insert(new).scopes.extend(scopes);
        }
    }
    tenants.into_values().collect()
}

/// What is made of the item that changed.
fn scopes(change: &Change) -> Vec<Scope> {
    match &change.kind {
        // Collections count their documents.
        Kind::Document(id) => vec![Scope::Document(*id), Scope::Documents, Scope::Collections, Scope::Search],
        Kind::Collection(_) => Scope::OF_COLLECTION.to_vec(),
        Kind::Tenant => vec![Scope::Users],
        Kind::User(_) if is_decision(change).unwrap_or(true) => vec![Scope::Users],
        Kind::ApiKey(_) if change.is_removal() => vec![Scope::Users],
        // A user who appears, or a key that is used, changes nothing for anybody.
        Kind::User(_) | Kind::ApiKey(_) => Vec::new(),
    }
}

/// Whether somebody decided something about a user, or the claimed role of one changed who was known: keys follow it.
fn is_decision(change: &Change) -> Result<bool, Malformed> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Decided {
        version: u64,
        claims: Option<Claims>,
    }
    let claimed = |decided: Decided| decided.claims.map(|claims| claims.role);
    let (before, after): (Decided, Decided) = change.sides()?;
    Ok(before.version != after.version || (!change.is_new() && claimed(before) != claimed(after)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tests::{changes, key};

    const FIRST: &str = "DOC#01J9ZQ3W6V8Y0ABCDEFGHJKMNP";
    const SECOND: &str = "DOC#01J9ZQ3W6V8Y0ABCDEFGHJKMNQ";
    const API_KEY: &str = "APIKEY#01J9ZQ3W6V8Y0ABCDEFGHJKMNP";

    fn id(sk: &str) -> shared::tenancy::DocumentId {
        sk.trim_start_matches("DOC#").parse().unwrap()
    }

    fn found(keys: &[Value]) -> Vec<Stale> {
        by_tenant(&changes(keys.iter().map(|keys| ("MODIFY", keys.clone(), json!({}), json!({})))))
    }

    fn stale(tenant: &str, first: usize, scopes: &[Scope]) -> Stale {
        Stale { tenant: tenant.parse().unwrap(), first, scopes: scopes.iter().copied().collect() }
    }

    #[test]
    fn each_kind_of_item_makes_its_scopes_stale() {
        use Scope::{Collections, Document, Documents, EachDocument, Search, Users};
        for (sk, scopes) in [
            (FIRST, &[Document(id(FIRST)), Documents, Collections, Search][..]),
            ("COLLECTION#handbook", &[Collections, Documents, EachDocument, Search, Users]),
            ("TENANT", &[Users]),
        ] {
            assert_eq!(found(&[key("T#acme", sk)]), [stale("acme", 0, scopes)], "{sk}");
        }
    }

    #[test]
    fn a_user_who_appears_and_a_key_that_is_used_make_nothing_stale_but_decisions_do() {
        let version = |number: &str| json!({ "version": { "N": number } });
        let claims = |role: &str| json!({ "claims": { "M": { "role": { "S": role } } } });
        let (user, api_key) = (key("T#acme", "USER#ada"), key("T#acme", API_KEY));
        for (name, keys, before, after, is_stale) in [
            ("INSERT", &user, json!({}), claims("viewer"), false),
            ("INSERT", &user, json!({}), version("1"), true),
            ("MODIFY", &user, version("1"), version("2"), true),
            ("MODIFY", &user, claims("viewer"), claims("owner"), true),
            ("MODIFY", &user, claims("viewer"), claims("viewer"), false),
            ("REMOVE", &user, version("2"), json!({}), true),
            ("INSERT", &api_key, json!({}), json!({}), false),
            ("MODIFY", &api_key, json!({}), json!({ "last_used_at": { "S": "2026-11-24T00:00:00Z" } }), false),
            ("REMOVE", &api_key, json!({}), json!({}), true),
        ] {
            let found = by_tenant(&changes([(name, keys.clone(), before, after)]));
            let expected = if is_stale { vec![stale("acme", 0, &[Scope::Users])] } else { Vec::new() };
            assert_eq!(found, expected, "{name} {keys}");
        }
    }

    #[test]
    fn other_items_make_nothing_stale() {
        for (pk, sk) in [
            ("T#acme", "HASH#default#00"),
            ("T#acme", "USAGE#2026-11"),
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
            key("T#initech", "TENANT"),
            key("T#acme", "TENANT"),
            key("T#globex", FIRST),
            key("T#acme", "COLLECTION#handbook"),
            key("T#globex", SECOND),
        ];
        let one = [FIRST, SECOND].map(|sk| Scope::Document(id(sk)));
        let documents = [&one[..], &[Scope::Documents, Scope::Collections, Scope::Search]].concat();
        let expected = [
            stale("acme", 2, Scope::OF_COLLECTION),
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
            key("T#acme", "TENANT"),
        ];
        assert_eq!(found(&batch), [stale("acme", 5, &[Scope::Users])]);
    }
}
