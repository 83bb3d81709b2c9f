//! The tokens of language models that a tenant may spend in a day.
//!
//! One item for each tenant and day in UTC holds one number, the tokens that were used and those that are reserved, and an
//! entry for each answer that is being made. An answer reserves what it is about to ask a model for, by a condition on that
//! number; so answers side by side cannot take more than there is. When it ends, what it took stands in the place of what it
//! had reserved, and the entry goes, in one step that cannot happen twice. An answer whose process died leaves its
//! reservation, which counts as used from when the answer must have ended: the model may have been paid for it.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use time::OffsetDateTime;

use crate::clients::DynamoDb;
use crate::error::Error;
use crate::tables::{self, Key};
use crate::tenancy::{MessageId, TenantId};
use crate::usage::{Day, Month};

/// The number that a budget bounds.
const TOKENS: &str = "tokens";
/// Tokens of answers without a language model, which no budget bounds.
const UNBOUNDED: &str = "unbounded_tokens";
/// What the names of answers' entries begin with.
const RUN: &str = "run#";
/// In an entry: until when its answer may be made, in seconds since 1970.
const UNTIL: &str = "until";

/// The budgets of the tenants.
#[derive(Debug, Clone)]
pub struct Budgets {
    dynamodb: DynamoDb,
}

/// What a tenant spent in a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens of language models that answers took.
    pub used: u64,
    /// Tokens that answers may still take that are being made.
    pub reserved: u64,
    /// Tokens of answers without a language model.
    pub unbounded: u64,
}

impl Budgets {
    /// The budgets in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// Reserves tokens for an answer that ends before `until`; [`Error::BudgetExhausted`] if the day's budget has no room
    /// for them. They count for the day of `now`, however long the answer takes.
    pub async fn reserve(
        &self,
        tenant: &TenantId,
        run: MessageId,
        budget: u64,
        tokens: u64,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Reservation, Error> {
        let key = Key::budget(tenant, Day::of(now).as_str());
        let reservation =
            Reservation { dynamodb: self.dynamodb.clone(), key, entry: format!("{RUN}{run}"), budget, tokens };
        let Some(room) = budget.checked_sub(tokens) else { return Err(exhausted(budget, now)) };
        let entry = HashMap::from([
            (TOKENS.to_owned(), number(tokens)),
            (UNTIL.to_owned(), AttributeValue::N(until.unix_timestamp().to_string())),
        ]);
        let request = reservation
            .update("ADD #tokens :tokens SET #run = :run")
            .condition_expression("attribute_not_exists(#run) AND (attribute_not_exists(#tokens) OR #tokens <= :room)")
            .expression_attribute_values(":tokens", number(tokens))
            .expression_attribute_values(":run", AttributeValue::M(entry))
            .expression_attribute_values(":room", number(room));
        match apply(request).await? {
            Ok(()) => Ok(reservation),
            // The client of the database sent it twice, because the first answer was lost.
            Err(item) if reservation.reserved_in(&item).is_some() => Ok(reservation),
            Err(_) => Err(exhausted(budget, now)),
        }
    }

    /// Counts the tokens of an answer without a language model.
    pub async fn count(&self, tenant: &TenantId, tokens: u64, now: OffsetDateTime) -> Result<(), Error> {
        let request = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::budget(tenant, Day::of(now).as_str()).attributes()))
            .update_expression("ADD #tokens :tokens")
            .expression_attribute_names("#tokens", UNBOUNDED)
            .expression_attribute_values(":tokens", number(tokens));
        request.send().await?;
        Ok(())
    }

    /// What a tenant spent on the day of `now`, as it stands then.
    pub async fn spent(&self, tenant: &TenantId, now: OffsetDateTime) -> Result<Spent, Error> {
        let item = self.dynamodb.get(Key::budget(tenant, Day::of(now).as_str())).await?;
        Ok(item.map_or_else(Spent::default, |item| Spent::in_item(&item, now)))
    }

    /// The tokens that the answers of a month took, as it stands at `now`.
    pub async fn used_in(&self, tenant: &TenantId, month: &Month, now: OffsetDateTime) -> Result<u64, Error> {
        let prefix = format!("{}{}-", tables::BUDGET, month.as_str());
        let days = self.dynamodb.all(tables::partition(tenant), &prefix).await?;
        let spent = days.iter().map(|day| Spent::in_item(day, now));
        Ok(spent.map(|spent| spent.used + spent.unbounded).sum())
    }
}

impl Spent {
    fn in_item(item: &HashMap<String, AttributeValue>, now: OffsetDateTime) -> Self {
        let runs = item.iter().filter(|(name, _)| name.starts_with(RUN)).filter_map(|(_, entry)| entry.as_m().ok());
        let under_way = runs.filter(|entry| number_in(entry, UNTIL).is_some_and(|until| until > seconds(now)));
        let reserved = under_way.filter_map(|entry| number_in(entry, TOKENS)).sum();
        let tokens = number_in(item, TOKENS).unwrap_or(0);
        Self { used: tokens.saturating_sub(reserved), reserved, unbounded: number_in(item, UNBOUNDED).unwrap_or(0) }
    }
}

/// Tokens that an answer may take. Whoever has it settles it; what is dropped counts as used.
#[derive(Debug)]
pub struct Reservation {
    dynamodb: DynamoDb,
    key: Key,
    /// The name of the answer's entry.
    entry: String,
    /// The tokens of the day.
    budget: u64,
    /// Those that are reserved.
    tokens: u64,
}

impl Reservation {
    /// Makes it cover so many tokens, counted from the beginning of the answer; false if the budget has no room for them.
    pub async fn cover(&mut self, tokens: u64) -> Result<bool, Error> {
        let Some(more) = tokens.checked_sub(self.tokens).filter(|more| *more > 0) else { return Ok(true) };
        let Some(room) = self.budget.checked_sub(more) else { return Ok(false) };
        let request = self
            .update("ADD #tokens :more SET #run.#tokens = :tokens")
            .condition_expression("#run.#tokens = :before AND #tokens <= :room")
            .expression_attribute_values(":more", number(more))
            .expression_attribute_values(":tokens", number(tokens))
            .expression_attribute_values(":before", number(self.tokens))
            .expression_attribute_values(":room", number(room));
        let covered = match apply(request).await? {
            Ok(()) => true,
            Err(item) => self.reserved_in(&item) == Some(tokens),
        };
        if covered {
            self.tokens = tokens;
        }
        Ok(covered)
    }

    /// What is reserved.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Puts what the answer took in the place of what was reserved. Done again, it changes nothing.
    pub async fn settle(&mut self, used: u64) -> Result<(), Error> {
        loop {
            let (used, reserved) = (i128::from(used), i128::from(self.tokens));
            let request = self
                .update("ADD #tokens :difference REMOVE #run")
                .condition_expression("#run.#tokens = :reserved")
                .expression_attribute_values(":difference", AttributeValue::N((used - reserved).to_string()))
                .expression_attribute_values(":reserved", number(self.tokens));
            match apply(request).await? {
                Ok(()) => return Ok(()),
                Err(item) => match self.reserved_in(&item) {
                    // More was reserved, but the answer to that was lost.
                    Some(tokens) => self.tokens = tokens,
                    None => return Ok(()),
                },
            }
        }
    }

    fn reserved_in(&self, item: &HashMap<String, AttributeValue>) -> Option<u64> {
        number_in(item.get(&self.entry)?.as_m().ok()?, TOKENS)
    }

    fn update(&self, expression: &str) -> UpdateItemFluentBuilder {
        self.dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(self.key.clone().attributes()))
            .update_expression(expression)
            .expression_attribute_names("#tokens", TOKENS)
            .expression_attribute_names("#run", &self.entry)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

/// Sends a conditional change; the inner error is the item as it is, if the condition does not hold.
async fn apply(request: UpdateItemFluentBuilder) -> Result<Result<(), HashMap<String, AttributeValue>>, Error> {
    match request.send().await {
        Ok(_) => Ok(Ok(())),
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
            match service.into_err() {
                UpdateItemError::ConditionalCheckFailedException(failed) => Ok(Err(failed.item.unwrap_or_default())),
                other => Err(Error::internal(other)),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn exhausted(budget: u64, now: OffsetDateTime) -> Error {
    let now = now.to_offset(time::UtcOffset::UTC);
    let since_midnight = now - now.replace_time(time::Time::MIDNIGHT);
    let left = Duration::from_hours(24).saturating_sub(since_midnight.unsigned_abs());
    Error::BudgetExhausted { budget, retry_after: left }
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn number_in(item: &HashMap<String, AttributeValue>, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn seconds(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_refusal_holds_until_the_day_in_utc_ends() {
        let retry_after = |now| match exhausted(1, now) {
            Error::BudgetExhausted { retry_after, .. } => retry_after,
            error => panic!("{error}"),
        };
        assert_eq!(retry_after(datetime!(2026-11-26 00:00:00 UTC)), Duration::from_hours(24));
        assert_eq!(retry_after(datetime!(2026-11-26 23:59:59.5 UTC)), Duration::from_millis(500));
        assert_eq!(retry_after(datetime!(2026-11-26 23:00:00 -2)), Duration::from_hours(23));
    }

    #[test]
    fn what_a_dead_answer_reserved_counts_as_used_once_it_must_have_ended() {
        let now = datetime!(2026-11-26 12:00:00 UTC);
        let entry = |tokens, until: OffsetDateTime| {
            let until = AttributeValue::N(until.unix_timestamp().to_string());
            AttributeValue::M(HashMap::from([(TOKENS.to_owned(), number(tokens)), (UNTIL.to_owned(), until)]))
        };
        let item = HashMap::from([
            (TOKENS.to_owned(), number(100)),
            (UNBOUNDED.to_owned(), number(7)),
            ("run#1".to_owned(), entry(30, now + Duration::from_secs(1))),
            ("run#2".to_owned(), entry(20, now)),
        ]);
        assert_eq!(Spent::in_item(&item, now), Spent { used: 70, reserved: 30, unbounded: 7 });
    }
}
