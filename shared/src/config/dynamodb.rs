use std::time::Duration;

use url::Url;

use super::{ConfigError, Variables};

/// The two tables and how long to wait for them.
#[derive(Debug, Clone)]
pub struct DynamoDbConfig {
    /// `TABLE_NAME`: tenants, users, collections, documents, conversations (`ragline`).
    pub table: String,
    /// `CHUNKS_TABLE_NAME`: the passages with their vectors (`ragline-chunks`).
    pub chunks_table: String,
    /// `DYNAMODB_ENDPOINT`: another address than the region's, for an emulator.
    pub endpoint: Option<Url>,
    /// `DYNAMODB_CONNECT_TIMEOUT_MS`: for a connection to stand (1,000).
    pub connect_timeout: Duration,
    /// `DYNAMODB_ATTEMPT_TIMEOUT_MS`: for one attempt to answer (3,000).
    pub attempt_timeout: Duration,
    /// `DYNAMODB_OPERATION_TIMEOUT_MS`: for all attempts of one operation together (8,000).
    pub operation_timeout: Duration,
}

impl DynamoDbConfig {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            table: variables.text("TABLE_NAME", "ragline"),
            chunks_table: variables.text("CHUNKS_TABLE_NAME", "ragline-chunks"),
            endpoint: variables.optional_url("DYNAMODB_ENDPOINT", &["http", "https"])?,
            connect_timeout: variables.milliseconds("DYNAMODB_CONNECT_TIMEOUT_MS", 1_000)?,
            attempt_timeout: variables.milliseconds("DYNAMODB_ATTEMPT_TIMEOUT_MS", 3_000)?,
            operation_timeout: variables.milliseconds("DYNAMODB_OPERATION_TIMEOUT_MS", 8_000)?,
        })
    }
}
