use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, KeysAndAttributes, TransactWriteItem, WriteRequest};

use futures::future::try_join_all;

use super::measured::MeasuredCalls;
use crate::config::DynamoDbConfig;
use crate::error::Error;
use crate::tables::{Key, text};

/// Attempts at a transaction that another one crosses.
const TRANSACTION_ROUNDS: u32 = 5;
/// `BatchWriteItem` takes this many writes.
const BATCH_WRITE: usize = 25;
/// Batches that are written side by side.
const BATCHES_SIDE_BY_SIDE: usize = 4;
/// Rounds of `BatchGetItem` or `BatchWriteItem` for what a busy table left out.
const BATCH_ROUNDS: usize = 4;

/// The DynamoDB client with the names of the two tables.
#[derive(Debug, Clone)]
pub struct DynamoDb {
    /// The client; its connections are shared by all clones.
    pub client: Client,
    /// Tenants, users, collections, documents, conversations.
    pub table: String,
    /// The passages with their vectors.
    pub chunks_table: String,
}

impl DynamoDb {
    pub(super) fn new(aws: &SdkConfig, config: &DynamoDbConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.connect_timeout)
            .operation_attempt_timeout(config.attempt_timeout)
            .operation_timeout(config.operation_timeout)
            .build();
        let mut builder =
            aws_sdk_dynamodb::config::Builder::from(aws).timeout_config(timeouts).interceptor(MeasuredCalls);
        if let Some(endpoint) = &config.endpoint {
            // An emulator takes any credentials, but the SDK signs with some.
            builder = builder
                .endpoint_url(endpoint.as_str())
                .region(aws.region().cloned().unwrap_or(Region::from_static("us-east-1")))
                .credentials_provider(Credentials::new("emulator", "emulator", None, None, "emulator"));
        }
        Self {
            client: Client::from_conf(builder.build()),
            table: config.table.clone(),
            chunks_table: config.chunks_table.clone(),
        }
    }

    /// One cheap read, to see whether the table answers.
    pub async fn ping(&self) -> Result<(), Error> {
        self.client.get_item().table_name(&self.table).set_key(Some(Key::health().attributes())).send().await?;
        Ok(())
    }

    /// The item of the main table with this key.
    pub async fn get(&self, key: Key) -> Result<Option<HashMap<String, AttributeValue>>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item)
    }

    /// Those of the items of the main table that exist, in no order; at most 100 keys.
    pub async fn get_batch(&self, keys: Vec<Key>) -> Result<Vec<HashMap<String, AttributeValue>>, Error> {
        let mut keys: Vec<_> = keys.into_iter().map(Key::attributes).collect();
        let mut items = Vec::with_capacity(keys.len());
        for _ in 0..BATCH_ROUNDS {
            if keys.is_empty() {
                return Ok(items);
            }
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .map_err(Error::internal)?;
            let answer = self.client.batch_get_item().request_items(&self.table, wanted).send().await?;
            items.extend(answer.responses.unwrap_or_default().into_values().flatten());
            keys = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|rest| rest.keys).collect();
        }
        if keys.is_empty() { Ok(items) } else { Err(Error::unavailable("BatchGetItem left keys unprocessed")) }
    }

    /// The items of a partition of the main table whose sort keys begin with `prefix`, in their order. For what is bounded.
    pub async fn all(&self, partition: String, prefix: &str) -> Result<Vec<HashMap<String, AttributeValue>>, Error> {
        let (mut items, mut start) = (Vec::new(), None);
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", text(&partition))
                .expression_attribute_values(":prefix", text(prefix))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// Removes all items of a partition of a table.
    pub async fn delete_all(&self, table: &str, partition: String) -> Result<(), Error> {
        let mut start = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(table)
                .key_condition_expression("pk = :pk")
                .projection_expression("pk, sk")
                .expression_attribute_values(":pk", text(&partition))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            let deletes = answer.items.unwrap_or_default().into_iter().map(|key| {
                let delete = DeleteRequest::builder().set_key(Some(key)).build().map_err(Error::internal)?;
                Ok(WriteRequest::builder().delete_request(delete).build())
            });
            self.write_all(table, deletes.collect::<Result<_, Error>>()?).await?;
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    /// Puts or deletes items of a table, in no order and not at once.
    pub async fn write_all(&self, table: &str, writes: Vec<WriteRequest>) -> Result<(), Error> {
        for batches in writes.chunks(BATCH_WRITE * BATCHES_SIDE_BY_SIDE) {
            try_join_all(batches.chunks(BATCH_WRITE).map(|batch| self.write_batch(table, batch.to_vec()))).await?;
        }
        Ok(())
    }

    async fn write_batch(&self, table: &str, mut writes: Vec<WriteRequest>) -> Result<(), Error> {
        for round in 0..BATCH_ROUNDS {
            let answer = self.client.batch_write_item().request_items(table, writes).send().await?;
            writes = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            if writes.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50 << round)).await;
        }
        Err(Error::unavailable("BatchWriteItem left items unprocessed"))
    }

    /// Writes all or nothing. The inner error is the place of the first write whose condition does not hold.
    pub async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Result<(), usize>, Error> {
        for round in 0..TRANSACTION_ROUNDS {
            match self.client.transact_write_items().set_transact_items(Some(writes.clone())).send().await {
                Ok(_) => return Ok(Ok(())),
                Err(SdkError::ServiceError(service)) if service.err().is_transaction_canceled_exception() => {
                    let error = service.into_err();
                    let codes: Vec<_> = match &error {
                        TransactWriteItemsError::TransactionCanceledException(canceled) => {
                            canceled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("")).collect()
                        }
                        _ => Vec::new(),
                    };
                    if let Some(place) = codes.iter().position(|code| *code == "ConditionalCheckFailed") {
                        return Ok(Err(place));
                    }
                    if !codes.contains(&"TransactionConflict") {
                        return Err(Error::unavailable(format!("a transaction was cancelled: {codes:?}")));
                    }
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(Duration::from_millis(20 << round)).await;
        }
        Err(Error::unavailable("other transactions were in the way"))
    }
}
