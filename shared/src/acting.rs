//! In whose name DynamoDB and the object storage are asked: in that of a tenant, or of the deployment itself.
//!
//! Where `TENANT_ROLE_ARN` is set, what is done for a tenant is signed by a session of this tenant, and IAM keeps it from the
//! items and objects of others. Whose session that is does not follow from what is asked for, or a wrong key would bring its
//! own permission along. It follows from who was let in at the door, or from whose message a worker has, and goes with the
//! task from there. What nobody acts for is refused, not signed by the function. Elsewhere all this changes nothing.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use tokio::task::futures::TaskLocalFuture;

use crate::tenancy::TenantId;

tokio::task_local! {
    static ACTOR: Actor;
}

/// In whose name something is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// In that of a tenant, who may reach nothing but what is the tenant's.
    Tenant(TenantId),
    /// In that of the deployment, with the function's own role.
    Deployment,
}

/// Something was to be signed that nobody acts for. A fault of ours: work that is not said to be a tenant's or the deployment's.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("nobody acts")]
pub(crate) struct NobodyActs;

impl NobodyActs {
    /// Whether it is what an error came of.
    pub(crate) fn caused(error: &(dyn Error + 'static)) -> bool {
        error.is::<Self>() || error.source().is_some_and(Self::caused)
    }
}

/// The work, done for a tenant.
pub fn for_tenant<F: Future>(tenant: &TenantId, work: F) -> TaskLocalFuture<Actor, F> {
    ACTOR.scope(Actor::Tenant(tenant.clone()), work)
}

/// The work, done for the deployment: what is of no tenant, or of all of them.
pub fn for_deployment<F: Future>(work: F) -> TaskLocalFuture<Actor, F> {
    ACTOR.scope(Actor::Deployment, work)
}

/// The work, done in another task for who acts in this one.
pub fn onward<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let actor = actor();
    async move {
        match actor {
            Some(actor) => ACTOR.scope(actor, work).await,
            None => work.await,
        }
    }
}

/// The body, made for who acts now although it is made while it is read. One that is complete is left as it is.
pub fn onward_body(body: Body) -> Body {
    match actor() {
        Some(actor) if body.size_hint().exact().is_none() => Body::new(Streamed { actor, body }),
        _ => body,
    }
}

/// Who acts in this task, if anybody does.
pub(crate) fn actor() -> Option<Actor> {
    ACTOR.try_with(Clone::clone).ok()
}

struct Streamed {
    actor: Actor,
    body: Body,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let actor = self.actor.clone();
        ACTOR.sync_scope(actor, || Pin::new(&mut self.body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures::{StreamExt, stream};

    use super::*;

    fn named() -> String {
        match actor() {
            Some(Actor::Tenant(tenant)) => tenant.to_string(),
            Some(Actor::Deployment) => "deployment".to_owned(),
            None => "nobody".to_owned(),
        }
    }

    #[tokio::test]
    async fn the_innermost_name_counts_and_ends_with_its_work() {
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let seen = for_tenant(&acme, async {
            let inner = for_tenant(&other, async { named() }).await;
            [named(), inner, for_deployment(async { named() }).await, named()]
        });
        assert_eq!(seen.await, ["acme", "other", "deployment", "acme"]);
        assert_eq!(named(), "nobody");
    }

    #[tokio::test]
    async fn another_task_acts_for_nobody_unless_it_is_told() {
        let acme = "acme".parse().unwrap();
        let tasks =
            for_tenant(&acme, async { (tokio::spawn(async { named() }), tokio::spawn(onward(async { named() }))) });
        let (untold, told) = tasks.await;
        assert_eq!((untold.await.unwrap(), told.await.unwrap()), ("nobody".to_owned(), "acme".to_owned()));
    }

    #[tokio::test]
    async fn a_body_is_made_for_whom_it_was_begun() {
        let parts = || stream::iter([0, 1]).map(|_| Ok::<_, axum::Error>(named()));
        let acme = "acme".parse().unwrap();
        let body = for_tenant(&acme, async { onward_body(Body::from_stream(parts())) }).await;
        assert_eq!(to_bytes(body, 100).await.unwrap(), "acmeacme");
        assert_eq!(to_bytes(Body::from_stream(parts()), 100).await.unwrap(), "nobodynobody");
    }
}
