//! What a tenant may store.

use std::time::Duration;

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{TestApp, User};

use crate::flow::{DUCKS, PUMPS};

async fn with_quotas(app: &TestApp, tenant: &str, limits: Value) {
    let operator = app.user("platform", "olga", Role::Operator);
    operator.put(&format!("/tenants/{tenant}"), json!({ "limits": limits })).await.expect(200);
}

/// Waits until so much is known to be stored.
async fn stored(user: &User<'_>, documents: u64) {
    for attempt in 0.. {
        if user.get("/usage").await.expect(200).body["documents"] == documents {
            return;
        }
        assert!(attempt < 500, "it is not counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_stores_no_more_than_its_quotas() {
    let app = TestApp::start().await;
    let admin = app.user("acme", "ann", Role::Admin);
    with_quotas(&app, "acme", json!({ "documents": 1 })).await;
    let ducks = admin.ready("ducks.md", DUCKS).await;
    stored(&admin, 1).await;
    let refused = admin.upload_with("pumps.md", PUMPS.as_bytes(), &[]).await.expect(403).body;
    assert_eq!((&refused["code"], &refused["violated-policies"]), (&json!("quota_exceeded"), &json!(["documents"])));
    // The same bytes and new versions are no new documents.
    let id = ducks["id"].as_str().unwrap();
    admin.upload_with("pumps.md", PUMPS.as_bytes(), &[("document_id", id)]).await.expect(202);
    admin.worked_off(id).await;

    with_quotas(&app, "acme", json!({ "storage_bytes": DUCKS.len() + PUMPS.len() })).await;
    let announcement = |size| json!({ "filename": "x", "content_type": "text/plain", "size_bytes": size });
    let refused = admin.post("/documents/upload", announcement(DUCKS.len() + 1)).await.expect(403).body;
    assert_eq!(refused["violated-policies"], json!(["storage_bytes"]));
    admin.post("/documents/upload", announcement(DUCKS.len())).await.expect(201);

    // Another tenant has quotas of its own.
    app.user("globex", "gus", Role::Editor).ready("ducks.md", DUCKS).await;
    with_quotas(&app, "acme", json!({ "storage_bytes": 1_000_000, "documents": 5 })).await;
    assert_eq!(admin.get("/documents").await.expect(200).body["data"].as_array().unwrap().len(), 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_no_more_documents_in_work_than_its_quota() {
    let app = TestApp::start().await;
    let admin = app.user("acme", "ann", Role::Admin);
    with_quotas(&app, "acme", json!({ "ingestions": 1 })).await;
    let waiting = json!({ "filename": "x", "content_type": "text/plain", "size_bytes": 5 });
    let waiting = admin.post("/documents/upload", waiting).await.expect(201).body;
    stored(&admin, 1).await;
    let usage = admin.get("/usage").await.expect(200).body;
    assert_eq!((&usage["ingesting"], &usage["quotas"]["ingestions"]), (&json!(1), &json!(1)));
    let refused = admin.upload_with("pumps.md", PUMPS.as_bytes(), &[]).await.expect(429);
    assert_eq!((&refused.body["violated-policies"], refused.header("retry-after")), (&json!(["ingestions"]), "10"));
    admin.delete(&format!("/documents/{}", waiting["document"]["id"].as_str().unwrap())).await.expect(202);
    stored(&admin, 0).await;
    admin.ready("pumps.md", PUMPS).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_none_is_refused_by_name() {
    let app = TestApp::start().await;
    let operator = app.user("platform", "olga", Role::Operator);
    for (quota, wrong) in [("documents", 0_u64), ("storage_bytes", 1 << 54), ("ingestions", 0)] {
        let answer = operator.put("/tenants/acme", json!({ "limits": { quota: wrong } })).await.expect(400);
        assert_eq!(answer.body["errors"][0]["pointer"], format!("/limits/{quota}"));
    }
    let shown = operator.get("/tenants/acme").await.expect(200).body;
    assert_eq!(shown["limits"]["documents"], 100_000);
    app.stop().await;
}
