//! What S3 says of a new object, inside a message of the queue.

use aws_lambda_events::sqs::SqsMessage;
use serde::Deserialize;
use shared::clients::BlobKey;

/// A message that no retry will make sense of.
#[derive(Debug, thiserror::Error)]
#[error("the message is not an S3 notification of an original: {0}")]
pub(crate) struct Malformed(String);

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Notification {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    },
    /// S3 sends one of these when the notification is set up.
    Test {
        #[serde(rename = "Event")]
        event: String,
    },
}

/// What is read of a record. Services that speak as S3 does say less beside.
#[derive(Deserialize)]
struct Record {
    s3: Subject,
}

#[derive(Deserialize)]
struct Subject {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    key: String,
}

/// The originals that a message announces.
pub(crate) fn announced(message: &SqsMessage) -> Result<Vec<BlobKey>, Malformed> {
    let body = message.body.as_deref().unwrap_or_default();
    match serde_json::from_str(body).map_err(|error| Malformed(error.to_string()))? {
        Body::Test { event } if event == "s3:TestEvent" => Ok(Vec::new()),
        Body::Test { event } => Err(Malformed(event)),
        Body::Notification { records } => records
            .into_iter()
            .map(|Record { s3: Subject { object: Object { key } } }| {
                // S3 writes keys as in a form: percent-encoded, with + for a space.
                let key: String = url::form_urlencoded::parse(format!("k={key}").as_bytes())
                    .next()
                    .map(|(_, key)| key.into_owned())
                    .unwrap_or_default();
                key.parse().map_err(|_| Malformed(key))
            })
            .collect(),
    }
}

/// How often the message was delivered, this time included.
pub(crate) fn attempt(message: &SqsMessage) -> u64 {
    message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> SqsMessage {
        let mut message = SqsMessage::default();
        message.body = Some(body.to_owned());
        message
    }

    #[test]
    fn a_key_is_decoded_as_s3_encodes_it() {
        let body = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1",
            "eventTime":"2026-11-23T12:00:00.000Z","eventName":"ObjectCreated:Put",
            "userIdentity":{"principalId":"x"},"requestParameters":{"sourceIPAddress":"127.0.0.1"},
            "responseElements":{},"s3":{"s3SchemaVersion":"1.0","configurationId":"ingest",
            "bucket":{"name":"b","ownerIdentity":{"principalId":"x"},"arn":"arn:aws:s3:::b"},
            "object":{"key":"t%2Facme/01J9ZQ3W6V8Y0ABCDEFGHJKMNP/1/original","size":5,"sequencer":"0"}}}]}"#;
        let keys = announced(&message(body)).unwrap();
        assert_eq!(keys[0].to_string(), "t/acme/01J9ZQ3W6V8Y0ABCDEFGHJKMNP/1/original");
    }

    #[test]
    fn the_test_event_announces_nothing_and_other_bodies_are_malformed() {
        assert!(announced(&message(r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#)).unwrap().is_empty());
        for wrong in ["", "{}", "not json", r#"{"Event":"other"}"#] {
            assert!(announced(&message(wrong)).is_err(), "{wrong}");
        }
    }
}
