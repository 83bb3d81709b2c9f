//! Webhooks as admins manage them.

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{TestApp, User};

fn admin(app: &TestApp) -> User<'_> {
    app.user("acme", "olga", Role::Admin)
}

const URL: &str = "https://example.com/hooks";

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_made_changed_listed_and_deleted() {
    let app = TestApp::start().await;
    let admin = admin(&app);
    let made = admin.put("/webhooks/crm", json!({ "url": "https://EXAMPLE.com:443/hooks?token=t" })).await.expect(201);
    let all = json!(["document.ready", "document.failed", "document.deleted"]);
    assert_eq!((&made.body["url"], &made.body["events"]), (&json!("https://example.com/hooks?token=t"), &all));
    assert_eq!((&made.body["enabled"], &made.body["disabled_reason"]), (&json!(true), &Value::Null));

    let put = json!({ "url": URL, "events": ["document.failed", "document.failed"], "enabled": false });
    let changed = admin.put("/webhooks/crm", put).await.expect(200).body;
    assert_eq!((&changed["events"], &changed["enabled"]), (&json!(["document.failed"]), &json!(false)));
    assert_eq!(changed["created_at"], made.body["created_at"]);
    assert_eq!(admin.get("/webhooks/crm").await.expect(200).body, changed);
    admin.put("/webhooks/a", json!({ "url": URL })).await.expect(201);
    let page = admin.get("/webhooks?limit=1").await.expect(200).body;
    assert_eq!(page["data"][0]["id"], "a");
    let rest = admin.get(&format!("/webhooks?cursor={}", page["next_cursor"].as_str().unwrap())).await.expect(200);
    assert_eq!((&rest.body["data"], &rest.body["next_cursor"]), (&json!([changed]), &Value::Null));

    admin.delete("/webhooks/crm").await.expect(204);
    for (method, path) in [("GET", ""), ("GET", "/deliveries"), ("POST", "/test"), ("DELETE", "")] {
        let path = format!("/webhooks/crm{path}");
        admin.call(method.parse().unwrap(), &path, &Value::Null).await.expect(404);
    }
    let trail = admin.get("/audit").await.expect(200).body;
    let entries: Vec<_> = trail["data"].as_array().unwrap().iter().map(|e| json!([e["action"], e["target"]])).collect();
    assert_eq!(
        json!(entries),
        json!([["webhook.deleted", "crm"], ["webhook.put", "a"], ["webhook.put", "crm"], ["webhook.put", "crm"]])
    );
    assert!(!trail.to_string().contains("token=t"), "what an address holds may be a password: {trail}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_ten_webhooks_at_most() {
    let app = TestApp::start().await;
    let admin = admin(&app);
    for number in 0..10 {
        admin.put(&format!("/webhooks/hook-{number}"), json!({ "url": URL })).await.expect(201);
    }
    admin.put("/webhooks/another", json!({ "url": URL })).await.expect(409);
    admin.put("/webhooks/hook-3", json!({ "url": URL })).await.expect(200);
    app.user("globex", "olga", Role::Admin).put("/webhooks/first", json!({ "url": URL })).await.expect(201);
    admin.delete("/webhooks/hook-3").await.expect(204);
    admin.put("/webhooks/another", json!({ "url": URL })).await.expect(201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_when_it_is_set_and_never_again() {
    let app = TestApp::start().await;
    let admin = admin(&app);
    let own = format!("whsec_{}", "QUJD".repeat(8));
    let put = async |body: Value| {
        let mut answer = admin.put("/webhooks/crm", body).await;
        answer.body["secret"].take()
    };
    let made = put(json!({ "url": URL })).await;
    let kept = put(json!({ "url": URL })).await;
    let rotated = put(json!({ "url": URL, "secret": "rotate" })).await;
    let chosen = put(json!({ "url": URL, "secret": own })).await;
    assert_eq!((&kept, &chosen), (&Value::Null, &json!(own)));
    assert!(made != rotated && made.as_str().unwrap().starts_with("whsec_"), "{made} {rotated}");
    let secrets = [&made, &rotated, &chosen].map(|secret| secret.as_str().unwrap()["whsec_".len()..].to_owned());
    for path in ["/webhooks", "/webhooks/crm", "/webhooks/crm/deliveries", "/audit", "/users"] {
        let text = admin.get(path).await.expect(200).body.to_string();
        assert!(secrets.iter().all(|secret| !text.contains(secret)) && !text.contains("whsec_"), "{path}: {text}");
    }
    // Nor does the database hold one that can be read.
    for entry in std::fs::read_dir(app.folder()).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.contains("sqlite")) else {
            continue;
        };
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{name}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_named_and_nothing_is_stored() {
    let app = TestApp::start_with(&[("WEBHOOK_ALLOW_PRIVATE", "false")]).await;
    let admin = admin(&app);
    let long = format!("https://example.com/{}", "x".repeat(2_048));
    let mut wrong: Vec<(&str, Value)> = [
        "",
        "example.com",
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https://ada:secret@example.com/",
        "https://example.com/#x",
        "https://127.0.0.1/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://0177.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/",
        &long,
    ]
    .map(|url| ("/url", json!({ "url": url })))
    .into();
    wrong.extend([
        ("/", json!({})),
        ("/url", json!({ "url": 5 })),
        ("/events", json!({ "url": URL, "events": [] })),
        ("/events/0", json!({ "url": URL, "events": ["document.made"] })),
        ("/events/0", json!({ "url": URL, "events": ["webhook.test"] })),
        ("/enabled", json!({ "url": URL, "enabled": "yes" })),
        ("/secret", json!({ "url": URL, "secret": "whsec_c2hvcnQ=" })),
        ("/secret", json!({ "url": URL, "secret": "hunter2-hunter2-hunter2" })),
        ("/colour", json!({ "url": URL, "colour": "red" })),
    ]);
    for (pointer, body) in wrong {
        let answer = admin.put("/webhooks/crm", body.clone()).await.expect(400).body;
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{body}: {answer}");
        assert!(!answer.to_string().contains("hunter2") && !answer.to_string().contains("c2hvcnQ"), "{answer}");
    }
    let answer = admin.put("/webhooks/CRM", json!({ "url": URL })).await.expect(400).body;
    assert_eq!(answer["errors"][0]["pointer"], "id");
    assert_eq!(admin.get("/webhooks").await.expect(200).body["data"], json!([]));
    assert_eq!(admin.get("/audit").await.expect(200).body["data"], json!([]));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_make_a_webhook_at_once_one_gets_its_secret() {
    let app = TestApp::start().await;
    let (one, two) = (app.user("acme", "olga", Role::Admin), app.user("acme", "oleg", Role::Admin));
    for round in 0..5 {
        let path = format!("/webhooks/hook-{round}");
        let answers = tokio::join!(one.put(&path, json!({ "url": URL })), two.put(&path, json!({ "url": URL })));
        let mut statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
        statuses.sort_unstable();
        // The second found it there, or lost to the first.
        assert!(statuses == [200, 201] || statuses == [201, 409], "{statuses:?}");
        let shown = [answers.0, answers.1].iter().filter(|answer| answer.body["secret"].is_string()).count();
        assert_eq!(shown, 1);
    }
    app.stop().await;
}
