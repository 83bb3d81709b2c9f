//! What tenants use: requests and embedded tokens in a month, and what they store.
//!
//! Requests are counted by the door's script and brought here once a minute, beside a read that happens anyway. The rest
//! follows from the stream of the main table, each record once. Tokens of answers are a matter of [`crate::budgets`].

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use crate::clients::DynamoDb;
use crate::error::Error;
use crate::tables::{EXPIRES_AT, Key};
use crate::tenancy::TenantId;

/// How long it is known that a record was counted: longer than the stream keeps any.
const KEEP_MARKS: Duration = Duration::days(2);

/// A calendar month in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Month(String);

impl Month {
    /// The month of a time.
    pub fn of(time: OffsetDateTime) -> Self {
        let date = time.to_offset(time::UtcOffset::UTC).date();
        Self(format!("{:04}-{:02}", date.year(), u8::from(date.month())))
    }

    /// The month as `2026-11`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Month {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('-') {
            Some((year, month)) if digits(year, 4) && digits(month, 2) && ("01"..="12").contains(&month) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(()),
        }
    }
}

/// A day in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day(String);

impl Day {
    /// The day of a time.
    pub fn of(time: OffsetDateTime) -> Self {
        let day = time.to_offset(time::UtcOffset::UTC).day();
        Self(format!("{}-{day:02}", Month::of(time).as_str()))
    }

    /// The day as `2026-11-26`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a tenant used in a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Used {
    /// Requests that passed the door.
    pub requests: u64,
    /// Tokens of documents that were turned into vectors.
    pub embedded_tokens: u64,
}

/// What a tenant stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Stock {
    /// Documents.
    pub documents: i64,
    /// Their originals' bytes.
    pub storage_bytes: i64,
    /// Documents that wait for their bytes or are worked on.
    pub ingesting: i64,
}

/// What is to be added for one record of the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    /// See [`Used`].
    pub used: Used,
    /// See [`Stock`].
    pub stock: Stock,
}

/// The usage of the tenants.
#[derive(Debug, Clone)]
pub struct Usage {
    dynamodb: DynamoDb,
}

impl Usage {
    /// The usage in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// What a tenant used in a month, and what it stores now.
    pub async fn get(&self, tenant: &TenantId, month: &Month) -> Result<(Used, Stock), Error> {
        let (used, stock) =
            futures::try_join!(self.dynamodb.get(Key::usage(tenant, month.as_str())), self.stock(tenant))?;
        let used = used.map_or_else(|| Ok(Used::default()), serde_dynamo::aws_sdk_dynamodb_1::from_item)?;
        Ok((used, stock))
    }

    /// What a tenant stores now.
    pub async fn stock(&self, tenant: &TenantId) -> Result<Stock, Error> {
        let stock = self.dynamodb.get(Key::stock(tenant)).await?;
        Ok(stock.map_or_else(|| Ok(Stock::default()), serde_dynamo::aws_sdk_dynamodb_1::from_item)?)
    }

    /// Adds requests.
    pub async fn add_requests(&self, tenant: &TenantId, month: &Month, requests: u64) -> Result<(), Error> {
        self.dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::usage(tenant, month.as_str()).attributes()))
            .update_expression("ADD requests :requests")
            .expression_attribute_values(":requests", AttributeValue::N(requests.to_string()))
            .send()
            .await?;
        Ok(())
    }

    /// Adds what a record says. `record` names the record: it is counted once, however often it is delivered.
    pub async fn add(&self, tenant: &TenantId, month: &Month, delta: &Delta, record: &str) -> Result<(), Error> {
        let used = [("embedded_tokens", i128::from(delta.used.embedded_tokens))];
        let stock = [
            ("documents", i128::from(delta.stock.documents)),
            ("storage_bytes", i128::from(delta.stock.storage_bytes)),
            ("ingesting", i128::from(delta.stock.ingesting)),
        ];
        let mut writes = [(Key::usage(tenant, month.as_str()), &used[..]), (Key::stock(tenant), &stock[..])]
            .into_iter()
            .filter_map(|(key, numbers)| self.addition(key, numbers).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        if writes.is_empty() {
            return Ok(());
        }
        writes.push(self.mark(tenant, record)?);
        // The only condition is that of the mark: if it does not hold, the record was counted.
        self.dynamodb.transact(writes).await.map(|_| ())
    }

    fn mark(&self, tenant: &TenantId, record: &str) -> Result<TransactWriteItem, Error> {
        let mut item = Key::counted(tenant, record).attributes();
        let expires = (OffsetDateTime::now_utc() + KEEP_MARKS).unix_timestamp();
        item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires.to_string()));
        let put = Put::builder()
            .table_name(&self.dynamodb.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        Ok(TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build())
    }

    fn addition(&self, key: Key, numbers: &[(&str, i128)]) -> Result<Option<TransactWriteItem>, Error> {
        let numbers: Vec<_> = numbers.iter().filter(|(_, number)| *number != 0).collect();
        if numbers.is_empty() {
            return Ok(None);
        }
        let additions: Vec<String> = numbers.iter().map(|(name, _)| format!("{name} :{name}")).collect();
        let mut update = Update::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(key.attributes()))
            .update_expression(format!("ADD {}", additions.join(", ")));
        for (name, number) in numbers {
            update = update.expression_attribute_values(format!(":{name}"), AttributeValue::N(number.to_string()));
        }
        Ok(Some(TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_written_one_way() {
        let time = time::macros::datetime!(2026-11-30 23:30:00 -2);
        assert_eq!(Month::of(time).as_str(), "2026-12", "the month in UTC counts");
        assert_eq!(Day::of(time).as_str(), "2026-12-01");
        assert!("2026-01".parse::<Month>().is_ok());
        for wrong in ["", "2026", "2026-13", "2026-1", "26-01", "2026-00", "2026-01-01", "2026-0a"] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }
}
