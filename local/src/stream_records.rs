use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, params};

/// The most records that are forgotten at once, so that nobody waits for it: twice as many as come.
const AT_ONCE: usize = 200;
/// What the embedded database adds to a number it keeps to make it as long as one of DynamoDB's.
const OFFSET: u128 = 100_000_000_000_000_000_000;

/// The records of streams in the file of the embedded database.
///
/// That keeps each record for ever, and looks through all of them for the number of the next one, at each write: an index makes
/// this, and reading on, as quick with a million records as with ten. Records that were worked off are forgotten.
#[derive(Clone)]
pub(crate) struct StreamRecords(Arc<Mutex<Connection>>);

impl StreamRecords {
    /// Those in the file of a database that is open.
    pub(crate) fn open(file: &Path) -> Result<Self, String> {
        let open = || {
            let connection = Connection::open(file)?;
            connection.execute_batch(
                "PRAGMA synchronous = NORMAL;
                 CREATE INDEX IF NOT EXISTS _stream_records_by_number
                 ON _stream_records (table_name, CAST(sequence_number AS INTEGER));",
            )?;
            Ok(connection)
        };
        let connection = open().map_err(|error: rusqlite::Error| format!("{}: {error}", file.display()))?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Forgets records of a table from before the one with this number, as streams name it; the oldest first, and not more of them
    /// than make others wait.
    pub(crate) fn forget_before(&self, table: &str, number: &str) -> Result<(), String> {
        let kept = number.parse().ok().and_then(|number: u128| i64::try_from(number.checked_sub(OFFSET)?).ok());
        let kept = kept.ok_or_else(|| format!("{number} is no number of a record"))?;
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = connection.execute(
            "DELETE FROM _stream_records WHERE id IN (
                 SELECT id FROM _stream_records WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) < ?2
                 ORDER BY CAST(sequence_number AS INTEGER) LIMIT ?3)",
            params![table, kept, AT_ONCE],
        );
        forgotten.map(|_| ()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use dynoxide::Database;
    use dynoxide::actions::list_streams::ListStreamsRequest;
    use rusqlite::StatementStatus;
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;

    /// A database with 300 records.
    fn database() -> (TempDir, Database, StreamRecords) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tables");
        let database = Database::new(file.to_str().unwrap()).unwrap();
        let table = json!({
            "TableName": "notes",
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        });
        database.create_table(serde_json::from_value(table).unwrap()).unwrap();
        for number in 0..300 {
            let item = json!({ "TableName": "notes", "Item": { "pk": { "S": format!("{number}") } } });
            database.put_item(serde_json::from_value(item).unwrap()).unwrap();
        }
        let records = StreamRecords::open(&file).unwrap();
        (folder, database, records)
    }

    fn numbers(database: &Database) -> Vec<String> {
        let asked = |body: Value| serde_json::from_value(body).unwrap();
        let arn = database.list_streams(ListStreamsRequest::default()).unwrap().streams[0].stream_arn.clone();
        let stream = database.describe_stream(serde_json::from_value(json!({ "StreamArn": arn })).unwrap()).unwrap();
        let shard = &stream.stream_description.shards[0].shard_id;
        let from = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
        let iterator = database.get_shard_iterator(asked(from)).unwrap().shard_iterator;
        let records = database.get_records(serde_json::from_value(json!({ "ShardIterator": iterator })).unwrap());
        records.unwrap().records.into_iter().map(|record| record.dynamodb.sequence_number).collect()
    }

    #[test]
    fn what_was_worked_off_is_forgotten_some_at_a_time_and_nothing_else() {
        let (_folder, database, records) = database();
        let all = numbers(&database);
        assert_eq!(all.len(), 300);
        records.forget_before("notes", &all[250]).unwrap();
        assert_eq!(numbers(&database), all[AT_ONCE..]);
        records.forget_before("another", &all[299]).unwrap();
        records.forget_before("notes", &all[250]).unwrap();
        assert_eq!(numbers(&database), all[250..]);
        assert!(records.forget_before("notes", "7").is_err());
    }

    #[test]
    fn no_write_and_no_look_at_a_stream_reads_all_records() {
        let (_folder, _database, records) = database();
        let connection = records.0.lock().unwrap();
        // The statements of the embedded database, without the columns that it reads, when nothing is new.
        for statement in [
            "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = 'notes'",
            "SELECT event_name FROM _stream_records
             WHERE table_name = 'notes' AND shard_id = 'shardId-00000001-notes'
             AND CAST(sequence_number AS INTEGER) > 9000000000000000000
             ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT 100",
        ] {
            let mut statement = connection.prepare(statement).unwrap();
            let _all = statement.query_map([], |_| Ok(())).unwrap().count();
            // One at least for each record, if each was looked at.
            let steps = statement.get_status(StatementStatus::VmStep);
            assert!((1..100).contains(&steps), "{steps} steps");
        }
    }
}
