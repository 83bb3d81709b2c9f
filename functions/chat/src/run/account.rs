use std::sync::Arc;

use shared::budgets::{Budgets, Reservation};
use shared::error::Error;
use shared::metrics;
use shared::tenancy::{MessageId, TenantId};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::event::Usage;

/// What an answer may take of its tenant's budget, and what it took. Clones share it.
#[derive(Clone)]
pub(crate) struct Account(Arc<Kind>);

enum Kind {
    /// It takes nothing of the budget, and is only counted.
    Unbounded(Budgets, TenantId),
    Bounded(Mutex<Reservation>),
}

impl Account {
    /// That of an answer without a language model.
    pub(super) fn unbounded(budgets: &Budgets, tenant: &TenantId) -> Self {
        Self(Arc::new(Kind::Unbounded(budgets.clone(), tenant.clone())))
    }

    /// That of an answer that begins with so many tokens, of `budget` a day, and ends before `until`.
    pub(super) async fn bounded(
        budgets: &Budgets,
        tenant: &TenantId,
        budget: u64,
        tokens: u64,
        until: OffsetDateTime,
    ) -> Result<Self, Error> {
        let reserved =
            budgets.reserve(tenant, MessageId::new(), budget, tokens, OffsetDateTime::now_utc(), until).await;
        let reservation = reserved.inspect_err(|error| {
            if let Error::BudgetExhausted { .. } = error {
                metrics::CHAT_BUDGET_EXHAUSTED.add(1);
            }
        })?;
        Ok(Self(Arc::new(Kind::Bounded(Mutex::new(reservation)))))
    }

    /// Whether the answer may take so many tokens, counted from its beginning.
    pub(crate) async fn cover(&self, tokens: u64) -> Result<bool, Error> {
        let Kind::Bounded(reservation) = &*self.0 else { return Ok(true) };
        let covered = reservation.lock().await.cover(tokens).await?;
        if !covered {
            metrics::CHAT_BUDGET_EXHAUSTED.add(1);
        }
        Ok(covered)
    }

    /// Enters what the answer took; all that was reserved, if nobody knows.
    pub(super) async fn settle(&self, used: Option<Usage>) -> Result<(), Error> {
        let used = used.map(|used| (used.input_tokens + used.output_tokens) as u64);
        match &*self.0 {
            Kind::Unbounded(budgets, tenant) => match used {
                Some(used) if used > 0 => budgets.count(tenant, used, OffsetDateTime::now_utc()).await,
                _ => Ok(()),
            },
            Kind::Bounded(reservation) => {
                let mut reservation = reservation.lock().await;
                let used = used.unwrap_or(reservation.tokens());
                reservation.settle(used).await
            }
        }
    }
}
