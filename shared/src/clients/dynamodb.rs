use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use crate::config::DynamoDbConfig;
use crate::error::Error;
use crate::tables::Key;

/// Rounds of `BatchGetItem` for keys that a busy table left out.
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
        let mut builder = aws_sdk_dynamodb::config::Builder::from(aws).timeout_config(timeouts);
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
}
