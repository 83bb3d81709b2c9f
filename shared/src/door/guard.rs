use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::RequestExt;
use axum::body::{Body, to_bytes};
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use tower::{Layer, Service};
use tracing::Instrument;
use tracing::field::Empty;

use super::answer::{self, Answer, CacheStatus};
use super::flight::Place;
use super::gate::{Allowed, Cached, Decision, Denied, Wanted};
use super::idempotency::Idempotency;
use super::limits::{Headers, Standing, Standings};
use super::records::TenantRecord;
use super::{Door, Recall, Rule, Scope, gate};
use crate::acting;
use crate::auth::Identity;
use crate::error::Error;
use crate::http::{ClientIp, MAX_JSON, Vouched};
use crate::metrics;
use crate::telemetry::{self, Root};
use crate::tenancy::{DocumentId, Principal};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The first wait for an answer that another environment computes; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// What a handler changed beyond what its route declares: an extension of its response.
#[derive(Debug, Clone, Copy)]
pub struct Changed(pub Scope);

/// A layer that puts a route behind the door.
#[derive(Clone)]
pub struct Guard {
    door: Door,
    rule: Rule,
    /// Who answers repetitions, and how large a body may be.
    repeated: Option<(Idempotency, usize)>,
    /// Whether what is worked out on the way is kept.
    recalls: bool,
}

impl Guard {
    pub(super) fn new(door: &Door) -> Self {
        let rule = Rule { cost: 1, spends: false, reads: None, cached: None, personal: false, writes: &[], one: false };
        Self { door: door.clone(), rule, repeated: None, recalls: false }
    }

    /// The answer is made of what this scope names.
    #[must_use]
    pub fn reads(mut self, scope: Scope) -> Self {
        self.rule.reads = Some(scope);
        self
    }

    /// Answers with the status 200 may be served again for so long, to callers with the same permissions, until
    /// something in the scope changes.
    #[must_use]
    pub fn cached(mut self, life: Duration) -> Self {
        self.rule.cached = Some(life);
        self
    }

    /// The route is about the one document that its path names: it reads, or changes, that one.
    #[must_use]
    pub fn one(mut self) -> Self {
        self.rule.one = true;
        self
    }

    /// The answer is for the caller alone.
    #[must_use]
    pub fn personal(mut self) -> Self {
        self.rule.personal = true;
        self
    }

    /// The route changes what these scopes name.
    #[must_use]
    pub fn writes(mut self, scopes: &'static [Scope]) -> Self {
        self.rule.writes = scopes;
        self
    }

    /// The route spends money; see [`Door::spends`].
    #[must_use]
    pub fn spends(mut self, cost: u32) -> Self {
        (self.rule.spends, self.rule.cost) = (true, cost);
        self
    }

    /// The route finds a [`Recall`] among the extensions of its requests.
    #[must_use]
    pub fn recalls(mut self) -> Self {
        self.recalls = true;
        self
    }

    /// A request with an `Idempotency-Key` runs once, and its repetitions get the same answer. Its body, which has
    /// `max_body` bytes at most, is read before. Not for routes that are cached or that stream.
    #[must_use]
    pub fn idempotent(mut self, idempotency: &Idempotency, max_body: usize) -> Self {
        self.repeated = Some((idempotency.clone(), max_body));
        self
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.clone(), inner }
    }
}

/// A route behind the door.
#[derive(Clone)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The service that is ready is the one to call; its clone may not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let guard = self.guard.clone();
        Box::pin(async move {
            let run = |request| async move {
                let Ok(response) = inner.call(request).await;
                response.into_response()
            };
            Ok(guard.pass(request, run).await.unwrap_or_else(IntoResponse::into_response))
        })
    }
}

impl Guard {
    async fn pass<F>(&self, mut request: Request, run: impl FnOnce(Request) -> F) -> Result<Response, Error>
    where
        F: Future<Output = Response>,
    {
        let ip = request.extensions().get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ClientIp(ip)| *ip);
        // Before a key is looked up for an address that tries one after the other.
        if let Some(denied) = self.door.0.gate.known_refusal_of(ip) {
            return Ok(refusal(&denied));
        }
        let known = match request.extensions_mut().remove::<Vouched>() {
            Some(vouched) => Ok(vouched.identity()),
            None => self.door.0.authenticator.authenticate(request.headers()).await,
        };
        let identity = match known {
            Ok(identity) => identity,
            Err(error) => return Ok(self.refuse_stranger(ip, error).await),
        };
        if let Some(root) = request.extensions().get::<Root>() {
            root.asked_by(&identity.tenant, &identity.user);
        }
        // All that follows is done for the tenant, and so is what is made while the answer is read.
        let admitted = async { Ok(self.admit(&identity, ip, request, run).await?.map(acting::onward_body)) };
        acting::for_tenant(&identity.tenant, Box::pin(admitted)).await
    }

    /// Lets in somebody who is known, if the limits do.
    async fn admit<F>(
        &self,
        identity: &Identity,
        ip: IpAddr,
        mut request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Result<Response, Error>
    where
        F: Future<Output = Response>,
    {
        let document = if self.rule.one { document_of(&mut request).await } else { None };
        let (wanted, fault) = match self.wanted(identity, document, &mut request).await {
            Ok(wanted) => (wanted, None),
            Err(fault) => (None, Some(fault)),
        };
        let asked = gate::Request { identity, ip, cost: self.rule.cost.into(), spends: self.rule.spends, wanted };
        let step = tracing::info_span!(target: telemetry::STEP, "door", ragline.door.decision = Empty);
        let decision = self.door.0.gate.admit(&asked).instrument(step.clone()).await?;
        step.record("ragline.door.decision", decision.name());
        drop(step);
        tracing::debug!(decision = decision.name(), "the door");
        let allowed = match decision {
            Decision::Allowed(allowed) => *allowed,
            Decision::Denied(denied) => return Ok(refusal(&denied)),
            Decision::Barred(standings) => {
                let mut response = gate::BARRED.into_response();
                add_limits(&mut response, &standings);
                return Ok(response);
            }
        };
        let Allowed { standings, tenant, principal, cached } = allowed;
        introduce(&mut request, principal, tenant);
        request.extensions_mut().insert(Standings::new(&standings));
        let mut response = match (&asked.wanted, fault) {
            // It counts, or it could be tried for ever.
            (_, Some(fault)) => fault.into_response(),
            (None, None) => {
                // The cache hears of what changed before an answer is kept, so whoever gets that answer sees the change.
                let perform = |request| self.perform(identity, document, request, run);
                match &self.repeated {
                    Some((repeated, max_body)) => repeated
                        .once(identity, *max_body, request, perform)
                        .await
                        .unwrap_or_else(IntoResponse::into_response),
                    None => perform(request).await?,
                }
            }
            (Some(wanted), None) => self.answer(&asked, wanted, cached, request, run).await?,
        };
        add_limits(&mut response, &standings);
        Ok(response)
    }

    /// Counts somebody unknown against the address, so that nobody can try tokens without end.
    async fn refuse_stranger(&self, ip: IpAddr, error: Error) -> Response {
        match self.door.0.gate.admit_stranger(ip).await {
            Ok(standings) => {
                let mut response = error.into_response();
                add_limits(&mut response, &standings);
                response
            }
            Err(denied) => refusal(&denied),
        }
    }

    /// What to look for in the cache, if the route and the request allow it.
    async fn wanted(
        &self,
        identity: &Identity,
        document: Option<DocumentId>,
        request: &mut Request,
    ) -> Result<Option<Wanted>, Error> {
        let scope = if self.rule.one { document.map(Scope::Document) } else { self.rule.reads };
        let (Some(scope), Some(_)) = (scope, self.rule.cached) else { return Ok(None) };
        if !matches!(*request.method(), Method::GET | Method::POST) || has_directive(request.headers(), "no-store") {
            return Ok(None);
        }
        let body = match *request.method() {
            Method::POST => {
                let body = std::mem::take(request.body_mut());
                let body = to_bytes(body, MAX_JSON).await.map_err(|_| Error::body_too_large(MAX_JSON))?;
                *request.body_mut() = Body::from(body.clone());
                body
            }
            _ => Bytes::new(),
        };
        let key = answer::key(identity, self.rule.personal, request.method(), request.uri(), &body);
        Ok(Some(Wanted { scope, key, anew: has_directive(request.headers(), "no-cache") }))
    }

    /// Runs a route that is not cached, and tells the cache what it changed before the caller hears of it.
    async fn perform<F>(
        &self,
        identity: &Identity,
        document: Option<DocumentId>,
        mut request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Result<Response, Error>
    where
        F: Future<Output = Response>,
    {
        if self.recalls {
            request.extensions_mut().insert(Recall::new(&self.door, identity));
        }
        let mut response = run(request).await;
        let also = response.extensions_mut().remove::<Changed>().map(|Changed(scope)| scope);
        // What was refused changed nothing; what failed may have.
        if !self.rule.writes.is_empty() && !response.status().is_client_error() {
            let one = document.map(Scope::Document);
            let scopes: Vec<Scope> = self.rule.writes.iter().copied().chain(one).chain(also).collect();
            self.door.0.epochs.changed(&identity.tenant, &scopes).await?;
        }
        Ok(response)
    }

    /// Serves a cached answer, or computes it.
    async fn answer<F>(
        &self,
        asked: &gate::Request<'_>,
        wanted: &Wanted,
        mut cached: Cached,
        mut request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Result<Response, Error>
    where
        F: Future<Output = Response>,
    {
        let (method, headers) = (request.method().clone(), request.headers().clone());
        let serve = |answer: &Answer, status: &CacheStatus| {
            metrics::CACHE_REQUESTS.add_of(status.label(), 1);
            answer.response(&method, &headers, status)
        };
        let (mut wait, give_up) = (FIRST_WAIT, Instant::now() + self.door.0.config.cache_wait);
        loop {
            let (epoch, set, stale, held) = match cached {
                Cached::Hit(answer, life) => return Ok(serve(&answer, &CacheStatus::Hit(life))),
                Cached::Unknown => {
                    let status = CacheStatus::Bypass;
                    return Ok(match self.compute(request, run).await {
                        Ok(answer) => serve(&answer, &status),
                        Err(other) => with_status(other, &status),
                    });
                }
                Cached::Compute { epoch, set, stale, held } => (epoch, set, stale, held),
            };
            let may_lead = !held || Instant::now() >= give_up;
            match self.door.0.flights.join((wanted.key.clone(), set.clone(), epoch.clone()), may_lead) {
                Place::Follow(flight) => {
                    if let Some(answer) = flight.landed().await {
                        return Ok(serve(&answer, &CacheStatus::Collapsed));
                    }
                }
                // Another environment computes it.
                Place::None => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Place::Lead(flight) => {
                    let started = Instant::now();
                    let computed = self.compute(request, run).await;
                    let (tenant, life) = (&asked.identity.tenant, self.rule.cached.unwrap_or_default());
                    let (answer, took) = (computed.as_ref().ok(), started.elapsed());
                    let stored = self.door.store(tenant, wanted, (&epoch, &set), answer, life, took).await;
                    let status = match (wanted.anew, stale) {
                        (true, _) => CacheStatus::Request { stored },
                        (false, true) => CacheStatus::Stale { stored },
                        (false, false) => CacheStatus::Miss { stored },
                    };
                    return Ok(match computed {
                        Ok(answer) => {
                            let response = serve(&answer, &status);
                            flight.land(Some(Arc::new(answer)));
                            response
                        }
                        Err(other) => {
                            flight.land(None);
                            with_status(other, &status)
                        }
                    });
                }
            }
            cached = match self.door.0.gate.look(asked).await? {
                // The answer may be stored under a later epoch now, so it must be made of the records of that one.
                Some((tenant, principal, cached)) => {
                    introduce(&mut request, principal, tenant);
                    cached
                }
                None => Cached::Unknown,
            };
        }
    }

    /// Runs the route; its answer if that may be kept, else the response as it is.
    async fn compute<F>(&self, request: Request, run: impl FnOnce(Request) -> F) -> Result<Answer, Response>
    where
        F: Future<Output = Response>,
    {
        let response = run(request).await;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let (Some(kind), StatusCode::OK, Some(_), false) = (
            kind,
            response.status(),
            // A stream has no end that is known.
            response.body().size_hint().exact(),
            has_directive(response.headers(), "no-store"),
        ) else {
            return Err(response);
        };
        let (mut parts, body) = response.into_parts();
        match to_bytes(body, usize::MAX).await {
            Ok(body) => Ok(Answer::new(kind, body)),
            Err(error) => {
                parts.headers.remove(CONTENT_LENGTH);
                Err(Error::internal(error).into_response())
            }
        }
    }
}

/// Tells the handler who asks, and what is kept of the tenant.
fn introduce(request: &mut Request, principal: Principal, tenant: TenantRecord) {
    request.extensions_mut().insert(tenant);
    request.extensions_mut().insert(principal);
}

/// The document that the path names as `{id}`, if it can be one.
async fn document_of(request: &mut Request) -> Option<DocumentId> {
    let parameters = request.extract_parts::<RawPathParams>().await.ok()?;
    let (_, id) = parameters.iter().find(|(name, _)| *name == "id")?;
    id.parse().ok()
}

/// A response that is not kept, with what the cache had to do with it.
fn with_status(mut response: Response, status: &CacheStatus) -> Response {
    metrics::CACHE_REQUESTS.add_of(status.label(), 1);
    status.add_to(&mut response);
    response
}

fn refusal(denied: &Denied) -> Response {
    let violated = denied.violated.iter().map(|subject| subject.name()).collect();
    let mut response = Error::RateLimited { violated, retry_after: denied.retry_after }.into_response();
    add_limits(&mut response, &denied.standings);
    response
}

fn add_limits(response: &mut Response, standings: &[Standing]) {
    let headers = Headers(standings);
    for (name, value) in [(RATE_LIMIT_POLICY, headers.policies()), (RATE_LIMIT, headers.to_string())] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(VARY, HeaderValue::from_static("authorization"));
}

fn has_directive(headers: &HeaderMap, directive: &str) -> bool {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(directive))
}
