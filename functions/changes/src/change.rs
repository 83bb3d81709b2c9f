use aws_lambda_events::dynamodb::EventRecord;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_dynamo::{AttributeValue, Item};
use shared::tables::{Kind, Stored};
use shared::telemetry;
use shared::tenancy::{InvalidId, TenantId};
use time::OffsetDateTime;
use tracing::Instrument;

/// A change of an item of the main table, read from a record of its stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) tenant: TenantId,
    pub(crate) kind: Kind,
    /// Names the record: delivered again, it is the same.
    pub(crate) record: String,
    pub(crate) at: OffsetDateTime,
    /// The item before; none if it is new.
    before: Option<Item>,
    /// The item since then; none if it was removed.
    after: Option<Item>,
}

/// A record that no retry will make sense of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the item is not one of the table: {0}")]
    Item(#[from] serde_dynamo::Error),
    #[error("an identifier {0}")]
    Id(#[from] InvalidId),
}

#[derive(Deserialize)]
struct Keys {
    pk: String,
    sk: String,
}

impl Change {
    /// Reads a record; `None` if nothing follows from items of its kind.
    pub(crate) fn read(record: &EventRecord) -> Result<Option<Self>, Malformed> {
        let keys: Keys = serde_dynamo::from_item(record.change.keys.clone())?;
        let Some(Stored { tenant, kind }) = Stored::from_key(&keys.pk, &keys.sk)? else { return Ok(None) };
        let image = |item: &Item, absent| (record.event_name != absent).then(|| item.clone());
        let at = record.change.approximate_creation_date_time.timestamp();
        Ok(Some(Self {
            tenant,
            kind,
            record: record.event_id.clone(),
            at: OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH),
            before: image(&record.change.old_image, "INSERT"),
            after: image(&record.change.new_image, "REMOVE"),
        }))
    }

    /// What the item was and what it is, as far as `T` asks; the default where there was or is none.
    pub(crate) fn sides<T: DeserializeOwned + Default>(&self) -> Result<(T, T), Malformed> {
        let side = |item: &Option<Item>| match item {
            Some(item) => serde_dynamo::from_item(item.clone()),
            None => Ok(T::default()),
        };
        Ok((side(&self.before)?, side(&self.after)?))
    }

    /// What the item is now; none if it was removed.
    pub(crate) fn now<T: DeserializeOwned>(&self) -> Result<Option<T>, Malformed> {
        Ok(self.after.clone().map(serde_dynamo::from_item).transpose()?)
    }

    /// Does what follows from the change, in the trace of the request that it goes back to, if its item knows one.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> T {
        let item = self.after.as_ref().or(self.before.as_ref());
        let trace = item.and_then(|item| match item.get("traceparent")? {
            AttributeValue::S(text) => text.parse().ok(),
            _ => None,
        });
        match (trace, &self.kind) {
            (Some(trace), Kind::Document(id)) => {
                let root = telemetry::job("changes", &self.tenant, Some(*id), Some(trace));
                work.instrument(root.span().clone()).await
            }
            _ => work.await,
        }
    }

    /// Whether the item was removed.
    pub(crate) fn is_removal(&self) -> bool {
        self.after.is_none()
    }

    /// Whether the item is new.
    pub(crate) fn is_new(&self) -> bool {
        self.before.is_none()
    }
}
