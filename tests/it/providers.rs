//! The settings in `docs/IDENTITY.md`, held against what the identity providers write into their tokens.

use serde_json::{Value, json};
use shared::auth::{Claims, Credential, Identity, TokenVerifier};
use shared::config::{AuthConfig, Variables};
use shared::tenancy::Role;
use tests::{Issuer, SigningKey, data};
use time::OffsetDateTime;

/// A provider's section, which of its blocks of settings, what its tokens claim, and what is read from them.
struct Provider {
    section: &'static str,
    block: usize,
    claims: &'static str,
    keys: &'static str,
    tenant: &'static str,
    role: Role,
    email: Option<&'static str>,
}

const ADA: Option<&str> = Some("ada@acme.example");

const PROVIDERS: [Provider; 6] = [
    Provider {
        section: "Amazon Cognito",
        block: 0,
        claims: include_str!("claims/cognito_id.json"),
        keys: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E/.well-known/jwks.json",
        tenant: "acme",
        role: Role::Editor,
        email: ADA,
    },
    Provider {
        section: "Amazon Cognito",
        block: 1,
        claims: include_str!("claims/cognito_access.json"),
        keys: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E/.well-known/jwks.json",
        tenant: "acme",
        role: Role::Admin,
        email: None,
    },
    Provider {
        section: "Auth0",
        block: 0,
        claims: include_str!("claims/auth0.json"),
        keys: "https://your-company.eu.auth0.com/.well-known/jwks.json",
        tenant: "acme",
        role: Role::Editor,
        email: ADA,
    },
    Provider {
        section: "Supabase",
        block: 0,
        claims: include_str!("claims/supabase.json"),
        keys: "https://abcdefghijklmnopqrst.supabase.co/auth/v1/.well-known/jwks.json",
        tenant: "acme",
        role: Role::Owner,
        email: ADA,
    },
    Provider {
        section: "Keycloak",
        block: 0,
        claims: include_str!("claims/keycloak.json"),
        keys: "https://keycloak.example/realms/ragline/protocol/openid-connect/certs",
        tenant: "acme",
        role: Role::Editor,
        // Nobody checked it.
        email: None,
    },
    Provider {
        section: "Microsoft Entra",
        block: 0,
        claims: include_str!("claims/entra.json"),
        keys: "https://login.microsoftonline.com/8f3c1a52-6b0e-4c57-9d21-5e7f0a9b4c11/discovery/v2.0/keys",
        tenant: "8f3c1a52-6b0e-4c57-9d21-5e7f0a9b4c11",
        role: Role::Admin,
        email: None,
    },
];

impl Provider {
    /// The settings in the documentation.
    fn settings(&self) -> Variables {
        let text = data::project_file("docs/IDENTITY.md");
        let (_, section) = text.split_once(&format!("\n## {}\n", self.section)).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let block = section.split("```sh\n").nth(self.block + 1).unwrap().split("```").next().unwrap();
        Variables::from_pairs(block.lines().map(|line| line.split_once('=').unwrap()))
    }

    /// The claims, as if they were made just now.
    fn claims(&self) -> Value {
        let (now, mut claims) =
            (OffsetDateTime::now_utc().unix_timestamp(), serde_json::from_str::<Value>(self.claims));
        let claims = claims.as_mut().unwrap();
        let age = now - claims["iat"].as_i64().unwrap();
        for time in ["auth_time", "exp", "iat", "nbf"] {
            if let Some(value) = claims.get_mut(time) {
                *value = json!(value.as_i64().unwrap() + age);
            }
        }
        claims.clone()
    }
}

fn config(variables: &Variables) -> AuthConfig {
    AuthConfig::from_variables(variables).unwrap()
}

fn claimed(identity: Identity) -> Claims {
    match identity.credential {
        Credential::Token(claims) => claims,
        Credential::Key(_) => panic!("a token is no key"),
    }
}

#[tokio::test]
async fn tokens_of_the_usual_providers_are_read_with_the_settings_in_the_documentation() {
    let key = SigningKey::rsa("2026-01");
    let issuer = Issuer::start(&[&key]).await;
    for provider in PROVIDERS {
        let settings = provider.settings();
        assert_eq!(config(&settings).jwks_url.as_str(), provider.keys);
        let here = Variables::from_pairs([("JWKS_URL", issuer.url())]);
        let verifier = TokenVerifier::new(config(&here.or(&settings)));

        let claims = provider.claims();
        let identity = verifier.verify(&key.token(&claims)).await.unwrap();
        assert_eq!(identity.tenant.as_str(), provider.tenant, "{}", provider.section);
        assert_eq!(identity.user.as_str(), claims["sub"], "{}", provider.section);
        let claimed = claimed(identity);
        assert_eq!(claimed.role, provider.role, "{}", provider.section);
        assert_eq!(claimed.email.as_deref(), provider.email, "{}", provider.section);
        assert_eq!(claimed.name.as_deref(), claims["name"].as_str(), "{}", provider.section);
    }
}

#[tokio::test]
async fn a_token_of_one_kind_is_not_taken_where_the_other_is_configured() {
    let key = SigningKey::rsa("2026-01");
    let issuer = Issuer::start(&[&key]).await;
    let here = Variables::from_pairs([("JWKS_URL", issuer.url())]);
    let [id, access] = [0, 1].map(|number| &PROVIDERS[number]);
    for (settings, token) in [(id, access), (access, id)] {
        let verifier = TokenVerifier::new(config(&here.clone().or(&settings.settings())));
        assert!(verifier.verify(&key.token(&token.claims())).await.is_err());
    }
}

#[tokio::test]
async fn other_ways_that_the_documentation_names_work_too() {
    let key = SigningKey::ec("2026-01");
    let issuer = Issuer::start(&[&key]).await;
    let with = |section: &str, further: &[(&str, &str)]| {
        let provider = PROVIDERS.iter().find(|provider| provider.section == section).unwrap();
        let here =
            Variables::from_pairs([("JWKS_URL", issuer.url())]).or(&Variables::from_pairs(further.iter().copied()));
        let verifier = TokenVerifier::new(config(&here.or(&provider.settings())));
        let token = key.token(&provider.claims());
        async move { verifier.verify(&token).await }
    };
    let organization = with("Auth0", &[("JWT_TENANT_CLAIM", "org_id")]).await.unwrap();
    assert_eq!(organization.tenant.as_str(), "org_9ybsU1dN2dKfDkBi");
    let realm = [("JWT_ROLE_CLAIM", "realm_access.roles"), ("JWT_ROLE_PREFIX", "ragline-")];
    assert_eq!(
        claimed(with("Keycloak", &realm).await.unwrap()).role,
        Role::Viewer,
        "the realm's owner is not Ragline's"
    );
    assert!(with("Supabase", &[("JWT_ROLE_CLAIM", "role")]).await.is_err(), "`authenticated` is no role");
}
