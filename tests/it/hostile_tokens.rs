//! Tokens that somebody made up: refused, with nothing said and nobody asked.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use shared::auth::TokenVerifier;
use shared::config::{AuthConfig, Variables};
use shared::error::Error;
use tests::{Issuer, SigningKey, TestApp};
use time::OffsetDateTime;

const ISSUER: &str = "https://issuer.example/";

/// The issuer's keys, and those of somebody who would like to be the issuer.
struct World {
    rsa: SigningKey,
    ec: SigningKey,
    ed: SigningKey,
    mallory: SigningKey,
    mallory_as_ed: SigningKey,
    issuer: Issuer,
    /// Where the attacker's keys are.
    trap: Issuer,
}

impl World {
    async fn new() -> Self {
        let (rsa, ec, ed) = (SigningKey::rsa("rsa-1"), SigningKey::ec("ec-1"), SigningKey::ed("ed-1"));
        let (mallory, mallory_as_ed) = (SigningKey::ed("mallory-1"), SigningKey::ed("ed-1"));
        let issuer = Issuer::start(&[&rsa, &ec, &ed]).await;
        let trap = Issuer::start(&[&mallory, &mallory_as_ed]).await;
        Self { rsa, ec, ed, mallory, mallory_as_ed, issuer, trap }
    }

    fn variables(&self) -> [(&str, &str); 3] {
        [("JWKS_URL", self.issuer.url()), ("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", "ragline")]
    }

    fn good(&self) -> [String; 3] {
        [&self.rsa, &self.ec, &self.ed].map(|key| key.token(&claims(&json!({}))))
    }

    /// Every hostile token, with what is wrong with it.
    fn hostile(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (name, tokens) in [
            ("algorithm", self.of_other_algorithms()),
            ("shared secret", self.of_public_keys_as_secrets()),
            ("key", self.of_other_keys()),
            ("header", self.with_bad_headers()),
            ("claims", self.with_bad_claims()),
            ("signature", self.with_bad_signatures()),
            ("form", self.of_bad_form()),
        ] {
            all.extend(tokens.into_iter().map(|(what, token)| (format!("{name}: {what}"), token)));
        }
        all
    }

    fn of_other_algorithms(&self) -> Vec<(String, String)> {
        let good = self.ed.token(&claims(&json!({})));
        let (_, rest) = good.split_once('.').unwrap();
        let (payload, signature) = rest.split_once('.').unwrap();
        let mut tokens = Vec::new();
        for name in
            ["none", "None", "NONE", "nOnE", " none", "", "eddsa", "EdDSA ", "RS512", "PS256", "ES384", "ES256K"]
        {
            let header = encode(json!({ "alg": name, "typ": "JWT", "kid": "ed-1" }).to_string());
            tokens.push((format!("{name:?} and no signature"), format!("{header}.{payload}.")));
            tokens.push((format!("{name:?} and another's signature"), format!("{header}.{payload}.{signature}")));
            tokens.push((format!("{name:?}, signed"), self.ed.sign(decode(&header), decode(payload))));
        }
        for value in [json!(null), json!(["EdDSA"]), json!({ "EdDSA": true }), json!(8)] {
            let header = json!({ "alg": value, "kid": "ed-1" }).to_string();
            tokens.push((format!("{value}"), self.ed.sign(header, decode(payload))));
        }
        tokens.push(("none at all".into(), self.ed.sign(json!({ "kid": "ed-1" }).to_string(), decode(payload))));
        for (key, name) in [(&self.rsa, "EdDSA"), (&self.rsa, "ES256"), (&self.ec, "RS256"), (&self.ed, "RS256")] {
            let mut header = key.header();
            header["alg"] = json!(name);
            tokens.push((format!("{name} by {}", key.header()), key.sign(header.to_string(), decode(payload))));
        }
        tokens
    }

    fn of_public_keys_as_secrets(&self) -> Vec<(String, String)> {
        let mut tokens = Vec::new();
        for key in [&self.rsa, &self.ec, &self.ed] {
            let (der, jwk) = (key.public_der(), key.jwk());
            let lines: Vec<_> = STANDARD.encode(&der).as_bytes().chunks(64).map(<[u8]>::to_vec).collect();
            let pem =
                [&b"-----BEGIN PUBLIC KEY-----"[..], &lines.join(&b'\n'), b"-----END PUBLIC KEY-----"].join(&b'\n');
            let with_newline = [&pem[..], b"\n"].concat();
            let number = decode(jwk["n"].as_str().or(jwk["x"].as_str()).unwrap());
            let secrets = [pem, with_newline, der, jwk.to_string().into_bytes(), number, Vec::new()];
            let algorithms = [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
            for (name, algorithm) in algorithms {
                let mut header = key.header();
                header["alg"] = json!(name);
                let message = format!("{}.{}", encode(header.to_string()), encode(claims(&json!({})).to_string()));
                for (number, secret) in secrets.iter().enumerate() {
                    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
                    tokens.push((format!("{name} {header} {number}"), format!("{message}.{}", encode(tag))));
                }
            }
        }
        tokens
    }

    fn of_other_keys(&self) -> Vec<(String, String)> {
        let payload = claims(&json!({})).to_string();
        let trap = self.trap.url();
        let signed = |header: &Value| self.mallory.sign(header.to_string(), &payload);
        let mut tokens = vec![
            ("a stranger's".into(), self.mallory.token(&claims(&json!({})))),
            ("a stranger's under the name of ours".into(), self.mallory_as_ed.token(&claims(&json!({})))),
            ("no name, and there are several".into(), self.ed.sign(r#"{"alg":"EdDSA"}"#, &payload)),
            ("EdDSA under the name of the RSA key".into(), self.ed.sign(r#"{"alg":"EdDSA","kid":"rsa-1"}"#, &payload)),
        ];
        for id in ["ed-1", "mallory-1"] {
            for (name, value) in [
                ("jku", json!(trap)),
                ("x5u", json!(trap)),
                ("jwk", self.mallory.jwk()),
                ("x5c", json!([STANDARD.encode(self.mallory.public_der())])),
                ("iss", json!(trap)),
            ] {
                let header = json!({ "alg": "EdDSA", "kid": id, name: value });
                tokens.push((format!("{name} of the attacker, {id}"), signed(&header)));
            }
        }
        for id in [
            "",
            "ED-1",
            "ed-1\0",
            "../../../../dev/null",
            "ed-1' OR '1'='1",
            "'; DROP TABLE keys; --",
            trap,
            "${jndi:ldap://127.0.0.1/a}",
            "|/usr/bin/id",
            &"k".repeat(8_000),
        ] {
            let header = json!({ "alg": "EdDSA", "kid": id });
            tokens.push((format!("the name {id:.30}"), signed(&header)));
            tokens.push((format!("the name {id:.30}, ours"), self.ed.sign(header.to_string(), &payload)));
        }
        tokens
    }

    fn with_bad_headers(&self) -> Vec<(String, String)> {
        let payload = claims(&json!({})).to_string();
        [
            r#"{"alg":"EdDSA","kid":["ed-1"]}"#,
            r#"{"alg":"EdDSA","kid":null}"#,
            r#"{"alg":"EdDSA","kid":{"$ne":""}}"#,
            r#"{"alg":"EdDSA","kid":"ed-1","crit":["exp"]}"#,
            r#"{"alg":"EdDSA","kid":"ed-1","crit":["https://example.com/x"],"https://example.com/x":1}"#,
            r#"{"alg":"EdDSA","kid":"ed-1","crit":["b64"],"b64":false}"#,
            r#"{"alg":"EdDSA","kid":"ed-1","crit":[]}"#,
            r#"{"alg":"EdDSA","kid":"ed-1","crit":null}"#,
            r#"{"alg":"EdDSA","kid":"ed-1","typ":"logout+jwt"}"#,
            r#"{"alg":"EdDSA","kid":"ed-1","typ":["JWT"]}"#,
            r#"{"alg":"none","alg":"EdDSA","kid":"ed-1"}"#,
            r#"{"alg":"EdDSA","kid":"ed-1","alg":"none"}"#,
            r#"{"alg":"EdDSA","kid":"other","kid":"ed-1"}"#,
            r#"[{"alg":"EdDSA","kid":"ed-1"}]"#,
            r#"{"alg":"EdDSA","kid":"ed-1"}{}"#,
            r#"{"alg":"EdDSA","kid":"ed-1""#,
            "\u{feff}{\"alg\":\"EdDSA\",\"kid\":\"ed-1\"}",
            "EdDSA",
            "",
        ]
        .map(|header| (header.to_owned(), self.ed.sign(header, &payload)))
        .into()
    }

    fn with_bad_claims(&self) -> Vec<(String, String)> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let changed = [
            json!({ "aud": null }),
            json!({ "aud": "" }),
            json!({ "aud": "other" }),
            json!({ "aud": "rag" }),
            json!({ "aud": "ragline-staging" }),
            json!({ "aud": "other ragline" }),
            json!({ "aud": ["other", "rag"] }),
            json!({ "aud": [] }),
            json!({ "aud": { "ragline": "ragline" } }),
            json!({ "iss": null }),
            json!({ "iss": "https://evil.example/" }),
            json!({ "iss": "https://issuer.example" }),
            json!({ "iss": "https://issuer.example//" }),
            json!({ "iss": "https://issuer.example/.evil.example/" }),
            json!({ "iss": [ISSUER] }),
            json!({ "exp": now - 31 }),
            json!({ "exp": null }),
            json!({ "exp": 0 }),
            json!({ "exp": -1 }),
            json!({ "exp": (now + 600).to_string() }),
            json!({ "exp": now as f64 + 600.5 }),
            json!({ "exp": 1e300 }),
            json!({ "exp": u64::MAX }),
            json!({ "exp": i64::MAX }),
            json!({ "exp": true }),
            json!({ "exp": [now + 600] }),
            json!({ "nbf": now + 90 }),
            json!({ "nbf": "0" }),
            json!({ "nbf": u64::MAX }),
            json!({ "sub": null }),
            json!({ "sub": "" }),
            json!({ "sub": "ada#admin" }),
            json!({ "sub": "ada/../eve" }),
            json!({ "sub": "ada\u{0}" }),
            json!({ "sub": "a".repeat(129) }),
            json!({ "sub": ["ada"] }),
            json!({ "tenant": null }),
            json!({ "tenant": "" }),
            json!({ "tenant": "a#b" }),
            json!({ "tenant": "{acme}" }),
            json!({ "tenant": "acme " }),
            json!({ "tenant": "аcme" }),
            json!({ "tenant": ["acme"] }),
            json!({ "tenant": { "id": "acme" } }),
            json!({ "tenant": 7 }),
            json!({ "role": "root" }),
            json!({ "role": "Owner" }),
            json!({ "role": "operator" }),
            json!({ "role": { "owner": true } }),
            json!({ "role": 4 }),
        ];
        let mut tokens: Vec<_> =
            changed.iter().map(|changes| (changes.to_string(), self.ec.token(&claims(changes)))).collect();
        let good = claims(&json!({})).to_string();
        let inner = good.strip_prefix('{').unwrap();
        let deep = |depth: usize| format!(r#"{{"deep":{}1{},{inner}"#, "[".repeat(depth), "]".repeat(depth));
        let texts = [
            ("tenant twice", format!(r#"{{"tenant":"globex",{inner}"#)),
            ("tenant twice, once escaped", format!(r#"{{"ten\u0061nt":"globex",{inner}"#)),
            ("expires twice", format!(r#"{{"exp":{},{inner}"#, now + 600)),
            ("nested twice", format!(r#"{{"app":{{"a":1,"a":2}},{inner}"#)),
            ("expires beyond numbers", good.replacen(r#""exp":"#, r#""exp":1e400,"x":"#, 1)),
            ("nested 5,000 deep", deep(5_000)),
            ("nested 100,000 deep", deep(100_000)),
            ("a list", format!("[{good}]")),
            ("text", format!("{good:?}")),
            ("two objects", format!("{good}{good}")),
            ("no JSON", "tenant=acme&role=owner".to_owned()),
            ("nothing", String::new()),
        ];
        for (what, text) in texts {
            tokens.push((what.to_owned(), self.ec.sign(self.ec.header().to_string(), text)));
        }
        let broken = [good.replace("acme", "ac").as_bytes(), b"\xff\xfe"].concat();
        tokens.push(("no UTF-8".to_owned(), self.ec.sign(self.ec.header().to_string(), broken)));
        tokens
    }

    fn with_bad_signatures(&self) -> Vec<(String, String)> {
        let mut tokens = Vec::new();
        for (key, good) in [&self.rsa, &self.ec, &self.ed].into_iter().zip(self.good()) {
            let (message, signature) = good.rsplit_once('.').unwrap();
            let bytes = decode(signature);
            let mut add = |what: &str, bytes: &[u8]| {
                tokens.push((format!("{what}, {}", key.header()["alg"]), format!("{message}.{}", encode(bytes))));
            };
            add("none", &[]);
            add("cut", &bytes[..bytes.len() - 1]);
            add("longer", &[&bytes[..], &[0]].concat());
            add("twice", &[&bytes[..], &bytes[..]].concat());
            add("zeros", &vec![0; bytes.len()]);
            add("ones", &vec![0xff; bytes.len()]);
            add("of something else", &key.signature(b"something else"));
            for bit in [0, 7, bytes.len() * 4, bytes.len() * 8 - 1] {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                add("a bit flipped", &flipped);
            }
            let other = encode(claims(&json!({ "tenant": "globex" })).to_string());
            let header = good.split('.').next().unwrap();
            tokens.push(("of other claims".into(), format!("{header}.{other}.{signature}")));
        }
        let good = self.ec.token(&claims(&json!({})));
        let (message, signature) = good.rsplit_once('.').unwrap();
        tokens.push(("ES256 in DER".into(), format!("{message}.{}", encode(der(&decode(signature))))));
        tokens
    }

    fn of_bad_form(&self) -> Vec<(String, String)> {
        let good = self.ed.token(&claims(&json!({})));
        let parts: Vec<_> = good.split('.').collect();
        let (header, payload, signature) = (parts[0], parts[1], parts[2]);
        // 64 bytes leave four bits of the last character unused.
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = alphabet.find(signature.chars().last().unwrap()).unwrap();
        let spare = format!("{}{}", &signature[..signature.len() - 1], &alphabet[last + 1..last + 2]);
        let padded = |part: &str| URL_SAFE.encode(decode(part)) + if part.len().is_multiple_of(4) { "=" } else { "" };
        let whole = json!({ "protected": header, "payload": payload, "signature": signature }).to_string();
        let mut tokens = vec![
            ("empty".to_owned(), String::new()),
            ("one dot".to_owned(), ".".to_owned()),
            ("two dots".to_owned(), "..".to_owned()),
            ("a.b.c".to_owned(), "a.b.c".to_owned()),
            ("two parts".to_owned(), format!("{header}.{payload}")),
            ("four parts".to_owned(), format!("{good}.{signature}")),
            ("four parts, one empty".to_owned(), format!("{good}.")),
            ("five parts, encrypted".to_owned(), format!("{header}.{signature}.{signature}.{payload}.{signature}")),
            ("no header".to_owned(), format!(".{payload}.{signature}")),
            ("no claims".to_owned(), format!("{header}..{signature}")),
            ("upper case".to_owned(), good.to_uppercase()),
            ("JSON".to_owned(), whole),
            ("spare bits used".to_owned(), format!("{header}.{payload}.{spare}")),
            ("an API key".to_owned(), "rk_0123456789".to_owned()),
            ("1 MB".to_owned(), "x".repeat(1_000_000)),
            ("1 MB of dots".to_owned(), ".".repeat(1_000_000)),
            ("1 MB, signed".to_owned(), self.ed.token(&claims(&json!({ "padding": "x".repeat(750_000) })))),
        ];
        for number in 0..3 {
            for (what, edit) in [
                ("padded", padded(parts[number])),
                ("a space in front", format!(" {}", parts[number])),
                ("a line break behind", format!("{}\n", parts[number])),
                ("a tab inside", format!("{}\t{}", &parts[number][..4], &parts[number][4..])),
                ("a slash inside", format!("{}/{}", &parts[number][..4], &parts[number][5..])),
                ("a percent inside", format!("{}%2D{}", &parts[number][..4], &parts[number][5..])),
                ("not ASCII", format!("{}ü", parts[number])),
            ] {
                let mut edited: Vec<_> = parts.iter().map(|&part| part.to_owned()).collect();
                edited[number] = edit;
                tokens.push((format!("{what}, part {number}"), edited.join(".")));
            }
        }
        tokens
    }
}

/// Good claims with others put in their place; `null` takes one out.
fn claims(changes: &Value) -> Value {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let mut claims = json!({
        "iss": ISSUER, "aud": "ragline", "sub": "mallory", "tenant": "acme", "role": "owner", "iat": now, "exp": now + 600,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// A signature of two numbers as X.509 writes it.
fn der(signature: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let start = bytes.iter().position(|&byte| byte != 0).unwrap();
        let mut digits = bytes[start..].to_vec();
        if digits[0] >= 0x80 {
            digits.insert(0, 0);
        }
        [&[2, digits.len() as u8], &digits[..]].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let numbers = [number(r), number(s)].concat();
    [&[0x30, numbers.len() as u8], &numbers[..]].concat()
}

#[tokio::test]
async fn a_hostile_token_is_refused_without_asking_anybody() {
    let world = World::new().await;
    let verifier = TokenVerifier::new(
        AuthConfig::from_variables(&Variables::from_pairs(world.variables())).expect("the settings are good"),
    );
    let hostile = world.hostile();
    assert!(hostile.len() >= 200, "{}", hostile.len());
    for token in &world.good() {
        verifier.verify(token).await.expect("a token is good until something is changed");
    }
    // From here on a key that is not known may be asked for, once.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();

    for (what, token) in &hostile {
        let refused = verifier.verify(token).await;
        assert!(matches!(refused, Err(Error::Unauthenticated(_))), "{what}: {refused:?}");
    }
    assert_eq!(world.issuer.requests(), 2, "one for all of them");
    assert_eq!(world.trap.requests(), 0);
    for token in &world.good() {
        verifier.verify(token).await.expect("the keys are still there");
    }

    let mut times = Vec::new();
    for (what, token) in &hostile {
        times.push((shortest(&verifier, token).await, what));
    }
    times.sort_unstable();
    let (median, (slowest, what)) = (times[times.len() / 2].0, times[times.len() - 1]);
    println!("{} hostile tokens: median {median:?}, slowest {slowest:?} ({what})", hostile.len());
}

/// How long a token takes, if nothing else happens to run.
async fn shortest(verifier: &TokenVerifier, token: &str) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        let _ = verifier.verify(token).await;
        shortest = shortest.min(started.elapsed());
    }
    shortest
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shows_a_hostile_token_is_told_the_same_whatever_is_wrong() {
    let world = World::new().await;
    let app = TestApp::start_with(&world.variables()).await;
    for token in &world.good() {
        app.bearer(token).get("/users/me").await.expect(200);
    }
    let mut expected = app.nobody().get("/users/me").await.expect(401).body;
    expected["request_id"] = Value::Null;
    let (mut tried, most) = (0, 100_000);
    for (what, token) in &world.hostile() {
        // A server takes no longer header, and none of other characters; spaces around a token are allowed.
        if token.len() > most || HeaderValue::from_str(token).is_err() || token.trim() != token {
            continue;
        }
        let mut answer = app.bearer(token).get("/users/me").await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
        answer.body["request_id"] = Value::Null;
        assert_eq!(answer.body, expected, "{what}");
        tried += 1;
    }
    assert!(tried >= 200, "{tried}");
    assert_eq!((world.issuer.requests(), world.trap.requests()), (1, 0));
    app.stop().await;
}
