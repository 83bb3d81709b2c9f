use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use aws_lambda_events::streams::DynamoDbEventResponse;
use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::{GetRecordsRequest, GetRecordsResponse};
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use serde_json::{Value, json};

use crate::dynamodb::EmbeddedDynamoDb;
use crate::stream_records::StreamRecords;
use crate::watch::Function;

/// How often the stream is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Records delivered together, as many as in the template.
const BATCH: usize = 100;
/// The wait after a first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// The longest wait.
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Who works the records off.
pub(crate) enum Consumer {
    /// The handler of the function, in this process.
    InProcess(Box<changes::State>),
    /// The function itself, in another process.
    Function(Function),
}

impl Consumer {
    async fn consume(&self, event: Value) -> Result<DynamoDbEventResponse, String> {
        match self {
            Self::InProcess(state) => {
                let event = serde_json::from_value(event).map_err(|error| error.to_string())?;
                Ok(changes::handle((**state).clone(), event).await)
            }
            Self::Function(function) => function.invoke(&event).await.map_err(|error| error.to_string()),
        }
    }
}

/// The event source of a laptop: the records of one table's stream, delivered in their order until they are worked off.
pub(crate) struct Stream {
    shard: Shard,
    consumer: Consumer,
    /// Where the records begin that were not worked off.
    iterator: String,
    position: Position,
}

/// The number of the last record that was worked off, in a file: who starts anew goes on behind it.
#[derive(Clone)]
struct Position(PathBuf);

/// The one shard that the embedded database gives a stream.
#[derive(Clone)]
struct Shard {
    database: Database,
    records: StreamRecords,
    table: String,
    stream_arn: String,
    id: String,
}

impl Stream {
    /// Stands behind the last record that was worked off, which stands in the file `position`; at the first record if none was.
    pub(crate) async fn open(
        database: &EmbeddedDynamoDb,
        table: &str,
        position: PathBuf,
        consumer: Consumer,
    ) -> Result<Self, String> {
        let (records, table, position) = (database.records().clone(), table.to_owned(), Position(position));
        let database = database.database().clone();
        blocking(move || {
            let shard = Shard::find(database, records, table)?;
            let iterator = match position.read()? {
                Some(number) => shard.iterator("AFTER_SEQUENCE_NUMBER", Some(number)),
                None => shard.iterator("TRIM_HORIZON", None),
            }?;
            Ok(Self { shard, consumer, iterator, position })
        })
        .await
    }

    /// Delivers records for ever. Dropping the future stops the work where it is.
    pub(crate) async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let pause = self.deliver().await.unwrap_or_else(|error| {
                tracing::warn!(error, "records of the stream will be delivered again");
                None
            });
            failures = if pause.is_some() { 0 } else { failures.saturating_add(1) };
            tokio::time::sleep(pause.unwrap_or_else(|| retry_pause(failures))).await;
        }
    }

    /// Delivers what is new and says how long to wait before looking again; `None` if the function reported, and logged, a
    /// failure.
    async fn deliver(&mut self) -> Result<Option<Duration>, String> {
        let (shard, iterator) = (self.shard.clone(), self.iterator.clone());
        let batch = blocking(move || shard.records(iterator)).await?;
        let full = batch.records.len() == BATCH;
        if !batch.records.is_empty() {
            let response = self.consumer.consume(self.shard.event(&batch)?).await?;
            if let Some(failure) = response.batch_item_failures.into_iter().next() {
                // A failure without a number means the whole batch.
                if let Some(number) = failure.item_identifier {
                    let shard = self.shard.clone();
                    self.iterator = blocking(move || shard.iterator("AT_SEQUENCE_NUMBER", Some(number))).await?;
                }
                return Ok(None);
            }
        }
        if let Some(last) = batch.records.into_iter().next_back() {
            let (shard, position, number) = (self.shard.clone(), self.position.clone(), last.dynamodb.sequence_number);
            blocking(move || {
                if let Err(error) = shard.records.forget_before(&shard.table, &number) {
                    tracing::warn!(error, "records of the stream that were worked off are kept");
                }
                position.write(&number)
            })
            .await?;
        }
        self.iterator = batch.next_shard_iterator.ok_or("the stream has ended")?;
        Ok(Some(if full { Duration::ZERO } else { POLL }))
    }
}

impl Position {
    fn read(&self) -> Result<Option<String>, String> {
        match std::fs::read_to_string(&self.0) {
            Ok(number) => Ok(Some(number)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", self.0.display())),
        }
    }

    /// Writes all of it or nothing: who is killed meanwhile has the number before.
    fn write(&self, number: &str) -> Result<(), String> {
        let new = self.0.with_extension("new");
        let written = std::fs::write(&new, number).and_then(|()| std::fs::rename(&new, &self.0));
        written.map_err(|error| format!("{}: {error}", self.0.display()))
    }
}

impl Shard {
    fn find(database: Database, records: StreamRecords, table: String) -> Result<Self, String> {
        let request = ListStreamsRequest { table_name: Some(table.clone()), ..ListStreamsRequest::default() };
        let streams = database.list_streams(request).map_err(|error| error.to_string())?.streams;
        let stream = streams.into_iter().next().ok_or_else(|| format!("the table {table} has no stream"))?;
        let request = DescribeStreamRequest { stream_arn: stream.stream_arn, ..DescribeStreamRequest::default() };
        let stream = database.describe_stream(request).map_err(|error| error.to_string())?.stream_description;
        let shard = stream.shards.into_iter().next().ok_or_else(|| format!("the stream of {table} has no shard"))?;
        Ok(Self { database, records, table, stream_arn: stream.stream_arn, id: shard.shard_id })
    }

    fn iterator(&self, kind: &str, sequence_number: Option<String>) -> Result<String, String> {
        let request = GetShardIteratorRequest {
            stream_arn: self.stream_arn.clone(),
            shard_id: self.id.clone(),
            shard_iterator_type: kind.to_owned(),
            sequence_number,
        };
        let iterator = self.database.get_shard_iterator(request).map_err(|error| error.to_string())?.shard_iterator;
        iterator.ok_or_else(|| "the stream has ended".to_owned())
    }

    fn records(&self, shard_iterator: String) -> Result<GetRecordsResponse, String> {
        self.database
            .get_records(GetRecordsRequest { shard_iterator, limit: Some(BATCH) })
            .map_err(|error| error.to_string())
    }

    /// The event that Lambda makes of records: they are as in the answer of the stream, each with its source.
    fn event(&self, batch: &GetRecordsResponse) -> Result<Value, String> {
        let mut records = serde_json::to_value(&batch.records).map_err(|error| error.to_string())?;
        for record in records.as_array_mut().into_iter().flatten() {
            record["eventSourceARN"] = json!(self.stream_arn);
        }
        Ok(json!({ "Records": records }))
    }
}

fn retry_pause(failures: u32) -> Duration {
    (FIRST_RETRY * 2_u32.pow(failures.saturating_sub(1).min(10))).min(LAST_RETRY)
}

/// The database answers on the thread that asks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_stay_there() {
        let pauses = [1, 2, 3, 7, u32::MAX].map(|failures| retry_pause(failures).as_millis());
        assert_eq!(pauses, [100, 200, 400, 5_000, 5_000]);
    }
}
