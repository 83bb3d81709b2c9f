//! Which tokens are believed.

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::TestApp;

/// A part of a token in base64url, without padding.
fn encode(part: &Value) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let text = part.to_string();
    let bits: Vec<u8> = text.bytes().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    bits.chunks(6)
        .map(|six| {
            let index = (0..6).fold(0, |index, bit| index << 1 | usize::from(six.get(bit).copied().unwrap_or(0)));
            ALPHABET[index] as char
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_hold_is_401_whatever_it_says() {
    let app = TestApp::start().await;
    let good = app.running().issuer();
    let claims = |tenant: &str| local::TokenClaims {
        tenant: tenant.parse().unwrap(),
        user: "ada".parse().unwrap(),
        role: Role::Owner,
    };
    let now = time::OffsetDateTime::now_utc();
    let token = good.token(&claims("acme"), now).unwrap();
    app.bearer(&token).get("/users/me").await.expect(200);

    let parts: Vec<&str> = token.split('.').collect();
    let payload = json!({
        "iss": "ragline-local", "aud": "ragline", "sub": "ada", "tenant": "acme", "role": "owner",
        "exp": 9_999_999_999_u64,
    });
    let other_folder = tempfile::tempdir().unwrap();
    let stranger = local::Issuer::open(&local::DataFolder::open(other_folder.path()).unwrap()).unwrap();
    let hostile = [
        String::new(),
        "x".to_owned(),
        "a.b.c".to_owned(),
        token.to_uppercase(),
        token[..token.len() - 4].to_owned(),
        format!("{}.{}.", encode(&json!({ "alg": "none" })), encode(&payload)),
        format!("{}.{}.{}", encode(&json!({ "alg": "HS256", "kid": "local" })), encode(&payload), parts[2]),
        format!("{}.{}.{}", parts[0], encode(&payload), parts[2]),
        format!("{}.{}.{}", encode(&json!({ "alg": "EdDSA", "kid": "unknown" })), parts[1], parts[2]),
        format!("{}.{}.{}", encode(&json!({ "alg": "EdDSA", "kid": ["local"] })), parts[1], parts[2]),
        good.token(&claims("acme"), now - time::Duration::days(31)).unwrap(),
        stranger.token(&claims("acme"), now).unwrap(),
    ];
    for token in &hostile {
        let answer = app.bearer(token).get("/users/me").await;
        assert_eq!(answer.status, 401, "{token}: {}", answer.body);
        assert!(!answer.body.to_string().contains("signature"), "the reason is for the log only");
    }
    let too_long = app.bearer(&"x".repeat(20_000)).get("/users/me").await;
    assert_eq!(too_long.status, 401);
    app.stop().await;
}
