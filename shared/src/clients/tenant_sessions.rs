use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::Client;
use aws_sdk_sts::error::DisplayErrorContext;
use aws_sdk_sts::types::Tag;

use crate::acting::{Actor, NobodyActs, actor};
use crate::config::TenantSessionsConfig;
use crate::tenancy::TenantId;

/// How long a session lasts: the most that STS gives to who is in a session already, as functions are.
const LIFE: Duration = Duration::from_hours(1);
/// A session that lasts less than this is renewed when it is used. An address that is presigned by a session ends with it, so
/// none ends sooner.
const RENEWED_BEFORE: Duration = Duration::from_mins(30);
/// How long a session that could not be renewed is used on before that is tried again.
const PAUSE: Duration = Duration::from_secs(10);
/// How long all who have no session hear that there is none, before STS is asked again.
const REFUSAL: Duration = Duration::from_secs(1);
/// The most sessions that a process keeps, at about a kilobyte each. One more displaces the one that ends first.
const MOST: usize = 1_000;
/// For a connection to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// For one attempt to answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// For all attempts together: less than what waits for it has for one of its own.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(2_500);
/// The longest name of a session.
const MAX_NAME: usize = 64;

/// Sessions of the role for tenants, each tagged with its tenant, which the role's policy names: one for a tenant at a time,
/// kept until close to its end.
#[derive(Debug, Clone)]
pub(super) struct TenantSessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sts: Client,
    role_arn: String,
    sessions: Mutex<HashMap<TenantId, Arc<Session>>>,
}

/// The session of a tenant.
#[derive(Debug, Default)]
struct Session {
    known: Mutex<Known>,
    /// Held by who asks STS.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    credentials: Option<Credentials>,
    /// When STS gave none.
    refused: Option<Instant>,
}

/// What a session is good for now.
enum Standing {
    /// To be used.
    Good(Credentials),
    /// To be used if it cannot be renewed.
    Ageing(Credentials),
    /// There is none, nor was there a moment ago.
    Refused,
    /// There is none.
    Missing,
}

impl TenantSessions {
    pub(super) fn new(aws: &SdkConfig, config: &TenantSessionsConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut builder = aws_sdk_sts::config::Builder::from(aws).timeout_config(timeouts);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.endpoint_url(endpoint.as_str()).credentials_provider(super::emulated_credentials());
        }
        let sts = Client::from_conf(builder.build());
        Self(Arc::new(Inner { sts, role_arn: config.role_arn.clone(), sessions: Mutex::default() }))
    }

    /// Credentials of who acts: those of a tenant by its session, those of the deployment as `own` has them.
    pub(super) fn credentials_beside(&self, own: Option<SharedCredentialsProvider>) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(ActingCredentials { own, sessions: self.clone() })
    }

    /// The session of a tenant, for at least a moment. One caller asks for it, and those who have none yet wait.
    async fn of(&self, tenant: &TenantId) -> Result<Credentials, CredentialsError> {
        let session = self.session(tenant);
        let ageing = match session.standing() {
            Standing::Good(credentials) => return Ok(credentials),
            Standing::Ageing(credentials) => Some(credentials),
            Standing::Refused => return Err(refused()),
            Standing::Missing => None,
        };
        let _turn = match (session.turn.try_lock(), &ageing) {
            (Ok(turn), _) => turn,
            (Err(_), Some(credentials)) => return Ok(credentials.clone()),
            (Err(_), None) => session.turn.lock().await,
        };
        // Somebody else may have had the turn meanwhile.
        match session.standing() {
            Standing::Good(credentials) => return Ok(credentials),
            Standing::Refused => return Err(refused()),
            Standing::Ageing(_) | Standing::Missing => {}
        }
        let asked = self.0.ask(tenant).await;
        session.note(asked.as_ref().ok());
        match (asked, ageing) {
            (Err(error), Some(credentials)) => {
                let error = DisplayErrorContext(&error).to_string();
                tracing::warn!(%tenant, error, "the session of a tenant could not be renewed");
                Ok(credentials)
            }
            (asked, _) => asked,
        }
    }

    fn session(&self, tenant: &TenantId) -> Arc<Session> {
        let mut sessions = self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(tenant) {
            return Arc::clone(session);
        }
        if sessions.len() >= MOST
            && let Some(first) =
                sessions.iter().min_by_key(|(_, session)| session.known().end()).map(|(id, _)| id.clone())
        {
            sessions.remove(&first);
        }
        Arc::clone(sessions.entry(tenant.clone()).or_default())
    }
}

impl Inner {
    async fn ask(&self, tenant: &TenantId) -> Result<Credentials, CredentialsError> {
        // For CloudTrail. One letter would be too short a name.
        let mut name = format!("t-{tenant}");
        name.truncate(MAX_NAME);
        let tag = Tag::builder().key("tenant").value(tenant.as_str()).build().map_err(CredentialsError::unhandled)?;
        let answer = self
            .sts
            .assume_role()
            .role_arn(&self.role_arn)
            .role_session_name(name)
            .duration_seconds(i32::try_from(LIFE.as_secs()).unwrap_or(i32::MAX))
            .tags(tag)
            .send()
            .await
            .map_err(CredentialsError::provider_error)?;
        let given = answer.credentials.ok_or_else(|| CredentialsError::unhandled("STS gave no credentials"))?;
        let end = SystemTime::try_from(given.expiration).map_err(CredentialsError::unhandled)?;
        let (key, secret, token) = (given.access_key_id, given.secret_access_key, given.session_token);
        Ok(Credentials::new(key, secret, Some(token), Some(end), "session of a tenant"))
    }
}

impl Session {
    fn standing(&self) -> Standing {
        let known = self.known();
        let paused = |pause| known.refused.is_some_and(|refused| refused.elapsed() < pause);
        let left = known.end().duration_since(SystemTime::now()).unwrap_or_default();
        match &known.credentials {
            Some(credentials) if left > RENEWED_BEFORE || (!left.is_zero() && paused(PAUSE)) => {
                Standing::Good(credentials.clone())
            }
            Some(credentials) if !left.is_zero() => Standing::Ageing(credentials.clone()),
            _ if paused(REFUSAL) => Standing::Refused,
            _ => Standing::Missing,
        }
    }

    /// Takes what STS gave, or notes that it gave nothing.
    fn note(&self, given: Option<&Credentials>) {
        let mut known = self.known();
        match given {
            Some(credentials) => *known = Known { credentials: Some(credentials.clone()), refused: None },
            None => known.refused = Some(Instant::now()),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// When the session ends. One that there is not yet ends last, so that it is not displaced while it is asked for.
    fn end(&self) -> SystemTime {
        let end = |credentials: &Credentials| credentials.expiry().unwrap_or(SystemTime::UNIX_EPOCH);
        self.credentials.as_ref().map_or_else(|| SystemTime::now() + 2 * LIFE, end)
    }
}

fn refused() -> CredentialsError {
    CredentialsError::provider_error("STS gave no session a moment ago")
}

/// The credentials of who acts.
#[derive(Debug)]
struct ActingCredentials {
    own: Option<SharedCredentialsProvider>,
    sessions: TenantSessions,
}

impl ProvideCredentials for ActingCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            match (actor(), &self.own) {
                (Some(Actor::Tenant(tenant)), _) => self.sessions.of(&tenant).await,
                (Some(Actor::Deployment), Some(own)) => own.provide_credentials().await,
                (Some(Actor::Deployment), None) => Err(CredentialsError::not_loaded_no_source()),
                (None, _) => Err(CredentialsError::invalid_configuration(NobodyActs)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_config::BehaviorVersion;

    use super::*;

    fn sessions() -> TenantSessions {
        let config = TenantSessionsConfig { role_arn: "arn:aws:iam::1:role/tenant".to_owned(), endpoint: None };
        TenantSessions::new(&SdkConfig::builder().behavior_version(BehaviorVersion::v2026_01_12()).build(), &config)
    }

    fn ending_in(minutes: u64) -> Credentials {
        let end = SystemTime::now() + Duration::from_mins(minutes);
        Credentials::new("key", "secret", None, Some(end), "test")
    }

    #[test]
    fn one_session_too_many_displaces_the_one_that_ends_first() {
        let sessions = sessions();
        let tenant = |number: usize| format!("tenant-{number}").parse::<TenantId>().unwrap();
        // The first is being asked for; of the others the second ends first.
        drop(sessions.session(&tenant(0)));
        for number in 1..MOST {
            let minutes = if number == 1 { 31 } else { 40 };
            sessions.session(&tenant(number)).note(Some(&ending_in(minutes)));
        }
        drop(sessions.session(&tenant(MOST)));
        let kept = sessions.0.sessions.lock().unwrap();
        assert_eq!(kept.len(), MOST);
        assert!(kept.contains_key(&tenant(0)) && !kept.contains_key(&tenant(1)) && kept.contains_key(&tenant(MOST)));
    }

    #[test]
    fn a_session_is_good_until_half_an_hour_before_its_end_and_of_use_until_then() {
        let session = Session::default();
        assert!(matches!(session.standing(), Standing::Missing));
        session.note(Some(&ending_in(31)));
        assert!(matches!(session.standing(), Standing::Good(_)));
        session.note(Some(&ending_in(29)));
        assert!(matches!(session.standing(), Standing::Ageing(_)));
        session.note(None);
        assert!(matches!(session.standing(), Standing::Good(_)), "it was just tried");
        session.note(Some(&ending_in(0)));
        assert!(matches!(session.standing(), Standing::Missing), "it has ended");
        session.note(None);
        assert!(matches!(session.standing(), Standing::Refused));
    }

    #[tokio::test]
    async fn nobodys_requests_are_not_signed_and_are_a_fault_of_ours() {
        let own = SharedCredentialsProvider::new(ending_in(60));
        let credentials = sessions().credentials_beside(Some(own));
        let refusal = credentials.provide_credentials().await.unwrap_err();
        assert!(NobodyActs::caused(&refusal), "{refusal:?}");
        let signed = crate::acting::for_deployment(credentials.provide_credentials()).await.unwrap();
        assert_eq!(signed.access_key_id(), "key");
        let lost =
            crate::acting::for_deployment(async { sessions().credentials_beside(None).provide_credentials().await });
        assert!(lost.await.is_err(), "there are no credentials to fall back on");
    }
}
