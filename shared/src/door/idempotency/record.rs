use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use time::OffsetDateTime;
use ulid::Ulid;

use super::answer::KeptAnswer;
use crate::clients::DynamoDb;
use crate::error::Error;
use crate::signing::{Sealer, Signature};
use crate::tables::{EXPIRES_AT, Key, text};

/// The signature of what was asked.
const ASKED: &str = "asked";
/// Who works on it: a word of their own.
const CLAIM: &str = "claim";
/// Until when nobody else may, in milliseconds since 1970.
const CLAIMED_UNTIL: &str = "claimed_until";
/// What it was answered, sealed.
const SEALED: &str = "sealed";

/// The records of requests, in the database.
pub(super) struct Records {
    dynamodb: DynamoDb,
    sealer: Sealer,
    /// How long an answer is kept.
    keep: Duration,
}

/// The right to run a request.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    place: Key,
    word: String,
    /// When the record ends.
    pub(super) expires: OffsetDateTime,
}

/// A record that stands in the way.
struct Found {
    asked: Vec<u8>,
    claim: String,
    claimed_until: i128,
    sealed: Option<Vec<u8>>,
    expires: OffsetDateTime,
}

impl Found {
    /// The record for which a condition did not hold.
    fn in_error(error: PutItemError) -> Result<Self, Error> {
        let item = match error {
            PutItemError::ConditionalCheckFailedException(failed) => failed.item,
            _ => None,
        };
        item.and_then(|item| Self::read(&item)).ok_or_else(|| Error::internal("the record of a request is not one"))
    }

    fn read(item: &HashMap<String, AttributeValue>) -> Option<Self> {
        let bytes = |name| Some(item.get(name)?.as_b().ok()?.as_ref().to_vec());
        let number = |name| item.get(name)?.as_n().ok()?.parse().ok();
        Some(Self {
            asked: bytes(ASKED)?,
            claim: item.get(CLAIM)?.as_s().ok()?.clone(),
            // It is gone once there is an answer.
            claimed_until: number(CLAIMED_UNTIL).unwrap_or_default(),
            sealed: bytes(SEALED),
            expires: OffsetDateTime::from_unix_timestamp(i64::try_from(number(EXPIRES_AT)?).ok()?).ok()?,
        })
    }
}

/// What became of a wish to run a request.
pub(super) enum Begun {
    /// It is the first, or all before it died.
    First(Claim),
    /// It ran, and this was the answer. The record ends then.
    Answered(KeptAnswer, OffsetDateTime),
    /// It runs.
    Running,
    /// The record is of another request.
    Mismatch,
}

impl Records {
    pub(super) fn new(dynamodb: &DynamoDb, sealer: Sealer, keep: Duration) -> Self {
        Self { dynamodb: dynamodb.clone(), sealer, keep }
    }

    /// Claims a request by one conditional write, so of two at once one is the first. `is_same` tells whether a record is of
    /// the same request.
    pub(super) async fn begin(
        &self,
        place: Key,
        asked: &Signature,
        is_same: impl Fn(&[u8]) -> bool,
        now: OffsetDateTime,
        lock: Duration,
    ) -> Result<Begun, Error> {
        // In whole seconds, as it is stored.
        let expires = (now + self.keep).replace_nanosecond(0).map_err(Error::internal)?;
        let claim = Claim { place, word: Ulid::generate().to_string(), expires };
        let mut item = claim.place.clone().attributes();
        item.insert(ASKED.to_owned(), AttributeValue::B(Blob::new(asked)));
        item.insert(CLAIM.to_owned(), text(&claim.word));
        item.insert(CLAIMED_UNTIL.to_owned(), claimed_until(now, lock));
        item.insert(EXPIRES_AT.to_owned(), number(claim.expires.unix_timestamp().into()));
        let put = self
            .dynamodb
            .client
            .put_item()
            .table_name(&self.dynamodb.table)
            .set_item(Some(item))
            // DynamoDB removes what has expired when it gets round to it.
            .condition_expression("attribute_not_exists(pk) OR #expires <= :now")
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":now", number(now.unix_timestamp().into()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let found = match put.send().await {
            Ok(_) => return Ok(Begun::First(claim)),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
                Found::in_error(service.into_err())?
            }
            Err(error) => return Err(error.into()),
        };
        if found.claim == claim.word {
            // The client of the database sent it twice, because the first answer was lost.
            return Ok(Begun::First(claim));
        }
        if !is_same(&found.asked) {
            return Ok(Begun::Mismatch);
        }
        if let Some(sealed) = found.sealed {
            let opened = self.sealer.open(&sealed, &name(&claim.place));
            let answer = opened.ok_or_else(|| Error::internal("a kept answer cannot be opened"))?;
            return Ok(Begun::Answered(KeptAnswer::from_bytes(answer)?, found.expires));
        }
        if found.claimed_until > milliseconds(now) {
            return Ok(Begun::Running);
        }
        let is_taken = self.take_over(&claim, &found.claim, now, lock).await?;
        Ok(if is_taken { Begun::First(claim) } else { Begun::Running })
    }

    /// Takes the place of who left no answer in time; false if somebody was faster.
    async fn take_over(&self, claim: &Claim, dead: &str, now: OffsetDateTime, lock: Duration) -> Result<bool, Error> {
        let request = self
            .update(claim, dead)
            .update_expression("SET #claim = :claim, #until = :until, #expires = :expires")
            .condition_expression("#claim = :mine AND attribute_not_exists(#sealed)")
            .expression_attribute_names("#until", CLAIMED_UNTIL)
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_names("#sealed", SEALED)
            .expression_attribute_values(":claim", text(&claim.word))
            .expression_attribute_values(":until", claimed_until(now, lock))
            .expression_attribute_values(":expires", number(claim.expires.unix_timestamp().into()));
        applied(request).await
    }

    /// Keeps the answer; false if the claim was lost to somebody who thought this process dead.
    pub(super) async fn finish(&self, claim: &Claim, answer: &KeptAnswer) -> Result<bool, Error> {
        let sealed = self.sealer.seal(answer.to_bytes()?, &name(&claim.place))?;
        let request = self
            .update(claim, &claim.word)
            .update_expression("SET #sealed = :sealed REMOVE #until")
            .condition_expression("#claim = :mine")
            .expression_attribute_names("#until", CLAIMED_UNTIL)
            .expression_attribute_names("#sealed", SEALED)
            .expression_attribute_values(":sealed", AttributeValue::B(Blob::new(sealed)));
        applied(request).await
    }

    /// Removes the record, so that a repetition runs. Always false: nothing is kept.
    pub(super) async fn forget(&self, claim: &Claim) -> Result<bool, Error> {
        let request = self
            .dynamodb
            .client
            .delete_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(claim.place.clone().attributes()))
            .condition_expression("#claim = :mine")
            .expression_attribute_names("#claim", CLAIM)
            .expression_attribute_values(":mine", text(&claim.word));
        match request.send().await {
            Ok(_) => Ok(false),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn update(&self, claim: &Claim, mine: &str) -> UpdateItemFluentBuilder {
        self.dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(claim.place.clone().attributes()))
            .expression_attribute_names("#claim", CLAIM)
            .expression_attribute_values(":mine", text(mine))
    }
}

/// Sends a conditional change; false if its condition does not hold.
async fn applied(request: UpdateItemFluentBuilder) -> Result<bool, Error> {
    match request.send().await {
        Ok(_) => Ok(true),
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What an answer is sealed with: it opens in its own record only.
fn name(place: &Key) -> String {
    format!("{} {}", place.pk, place.sk)
}

fn claimed_until(now: OffsetDateTime, lock: Duration) -> AttributeValue {
    number(milliseconds(now + lock))
}

fn milliseconds(time: OffsetDateTime) -> i128 {
    time.unix_timestamp_nanos() / 1_000_000
}

fn number(value: i128) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
