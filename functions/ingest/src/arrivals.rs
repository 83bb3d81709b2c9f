//! From the queue that the storage notifies to the queue of work, where each tenant's files wait in a group of their own.
//! The storage cannot say whose a file is, and without that a queue is first in, first out: a thousand files of one tenant
//! would delay one file of another.

use aws_lambda_events::sqs::SqsMessage;
use serde_json::{Value, json};
use shared::acting;
use shared::clients::{BlobKey, Message, Queue};
use shared::error::Error;
use time::OffsetDateTime;

use crate::notification::announced;
use crate::{State, pipeline};

/// Whether a message comes from another queue than that of work. This and not its group decides, so that whatever becomes
/// of groups on the way, no message goes in a circle.
pub(crate) fn is_new(message: &SqsMessage, work: &Queue) -> bool {
    message.event_source_arn.as_deref().and_then(|arn| arn.rsplit(':').next()).is_some_and(|name| name != work.name())
}

/// Hands a notification on. Done twice, it is worked on twice, which changes nothing.
pub(crate) async fn forward(message: &SqsMessage, state: &State) -> Result<(), Error> {
    let keys = announced(message).map_err(Error::internal)?;
    for message in forwarded(&keys, message.body.as_deref().unwrap_or_default())? {
        state.queue.send(message).await?;
    }
    for key in &keys {
        acting::for_tenant(&key.tenant, show(key, state)).await;
    }
    Ok(())
}

/// Whoever put the bytes sees that they are here. Nothing else depends on it, so it may fail.
async fn show(key: &BlobKey, state: &State) {
    match state.documents.queued(&key.tenant, key.document, key.version, OffsetDateTime::now_utc()).await {
        Ok(Some(_)) => pipeline::tell(state, key, &[]).await,
        Ok(None) => {}
        Err(error) => tracing::warn!(tenant = %key.tenant, %error, "a document is said to await what it has"),
    }
}

/// The body as it is, or, if it announces several objects, one for each: they may be of several tenants, and one that fails
/// is not to hold up the others.
fn forwarded(keys: &[BlobKey], body: &str) -> Result<Vec<Message>, Error> {
    if let [key] = keys {
        return Ok(vec![Message::new(&key.tenant, body)]);
    }
    let mut notification: Value = serde_json::from_str(body).map_err(Error::internal)?;
    let records = notification["Records"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let single = |record| json!({ "Records": [record] }).to_string();
    Ok(keys.iter().zip(records).map(|(key, record)| Message::new(&key.tenant, single(record))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(tenants: &[&str]) -> String {
        let record =
            |tenant: &&str| json!({ "eventName": "ObjectCreated:Put", "s3": { "object": { "key": *tenant } } });
        // Spaces, which JSON written anew would not have.
        format!("{{ \"Records\": {} }}", Value::Array(tenants.iter().map(record).collect()))
    }

    fn keys(tenants: &[&str]) -> Vec<BlobKey> {
        let path = |tenant: &&str| format!("t/{tenant}/01J9ZQ3W6V8Y0ABCDEFGHJKMNP/1/original");
        tenants.iter().map(|tenant| path(tenant).parse().unwrap()).collect()
    }

    #[test]
    fn one_object_goes_on_in_the_very_words_of_the_storage() {
        let body = notification(&["acme"]);
        let forwarded = forwarded(&keys(&["acme"]), &body).unwrap();
        assert_eq!(forwarded, [Message::new(&"acme".parse().unwrap(), body)]);
    }

    #[test]
    fn objects_of_several_tenants_go_on_apart() {
        let tenants = ["acme", "globex", "acme"];
        let messages = forwarded(&keys(&tenants), &notification(&tenants)).unwrap();
        assert_eq!(messages.len(), 3);
        for (message, tenant) in messages.iter().zip(tenants) {
            assert_eq!(message.group.as_str(), tenant);
            let body: Value = serde_json::from_str(&message.body).unwrap();
            assert_eq!(body["Records"].as_array().unwrap().len(), 1);
            assert_eq!(body["Records"][0]["s3"]["object"]["key"], tenant);
        }
    }

    #[test]
    fn what_announces_nothing_goes_nowhere() {
        assert_eq!(forwarded(&[], r#"{"Event":"s3:TestEvent"}"#).unwrap(), []);
    }
}
