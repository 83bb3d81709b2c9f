use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Region;
use url::{Position, Url};

use super::{LONGEST_DELAY, Message};
use crate::clients::emulated_credentials;
use crate::error::Error;

/// For a connection to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For one attempt to answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// For all attempts of one operation together.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);

/// A standard queue of SQS. Messages with a group make it a fair one.
#[derive(Debug, Clone)]
pub(super) struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The client asks the host that the queue's address names, which is that of the region, or an emulator.
    pub(super) fn new(aws: &SdkConfig, url: &Url) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let mut builder = aws_sdk_sqs::config::Builder::from(aws)
            .timeout_config(timeouts)
            .endpoint_url(&url[..Position::BeforePath])
            .region(aws.region().cloned().unwrap_or(Region::from_static("us-east-1")));
        if url.scheme() == "http" {
            builder = builder.credentials_provider(emulated_credentials());
        }
        Self { client: Client::from_conf(builder.build()), url: url.to_string() }
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), Error> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(message.body)
            .message_group_id(message.group.as_str())
            .delay_seconds(seconds(message.delay.min(LONGEST_DELAY)))
            .send()
            .await?;
        Ok(())
    }

    pub(super) async fn hide(&self, receipt_handle: &str, span: Duration) -> Result<(), Error> {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds(span))
            .send()
            .await?;
        Ok(())
    }

    pub(super) fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }
}

/// SQS counts in whole seconds: never less than was asked for.
fn seconds(span: Duration) -> i32 {
    i32::try_from(span.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_config::BehaviorVersion;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    use super::*;
    use crate::clients::aws_http::AwsHttp;
    use crate::config::Variables;

    /// What was asked, as action and parameters.
    type Asked = Arc<Mutex<Vec<(String, Value)>>>;

    async fn answer(
        State(asked): State<Asked>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let refused = body["ReceiptHandle"] == "stale";
        asked.lock().unwrap().push((headers["x-amz-target"].to_str().unwrap().to_owned(), body));
        let error = json!({ "__type": "com.amazonaws.sqs#ReceiptHandleIsInvalid", "message": "no" });
        if refused { Err((StatusCode::BAD_REQUEST, Json(error))) } else { Ok(Json(json!({ "MessageId": "x" }))) }
    }

    /// A queue of a server that notes what it is asked.
    async fn queue() -> (SqsQueue, Asked) {
        let (asked, listener) = (Asked::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("http://{}/123456789012/ragline-IngestQueue-a1B2", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&asked));
        tokio::spawn(async { axum::serve(listener, router).await });
        let http = AwsHttp::new(&Variables::default()).unwrap();
        let aws = SdkConfig::builder().behavior_version(BehaviorVersion::v2026_01_12()).http_client(http).build();
        (SqsQueue::new(&aws, &url.parse().unwrap()), asked)
    }

    #[test]
    fn a_span_is_rounded_up_to_seconds() {
        let spans = [0, 1, 1_000, 1_001, 900_000].map(|ms| seconds(Duration::from_millis(ms)));
        assert_eq!(spans, [0, 1, 1, 2, 900]);
    }

    #[tokio::test]
    async fn a_message_is_sent_in_the_group_of_its_tenant() {
        let (queue, asked) = queue().await;
        assert_eq!(queue.name(), "ragline-IngestQueue-a1B2");
        let mut message = Message::new(&"acme".parse().unwrap(), "{\"a\": 1}");
        queue.send(message.clone()).await.unwrap();
        message.delay = Duration::from_hours(1);
        queue.send(message).await.unwrap();
        let sent = |delay: u32| json!({ "QueueUrl": queue.url, "MessageBody": "{\"a\": 1}", "MessageGroupId": "acme", "DelaySeconds": delay });
        let action = || "AmazonSQS.SendMessage".to_owned();
        assert_eq!(*asked.lock().unwrap(), [(action(), sent(0)), (action(), sent(900))]);
    }

    #[tokio::test]
    async fn a_message_is_hidden_by_its_receipt() {
        let (queue, asked) = queue().await;
        queue.hide("handle", Duration::from_millis(1_500)).await.unwrap();
        let hidden = json!({ "QueueUrl": queue.url, "ReceiptHandle": "handle", "VisibilityTimeout": 2 });
        assert_eq!(*asked.lock().unwrap(), [("AmazonSQS.ChangeMessageVisibility".to_owned(), hidden)]);
        assert!(queue.hide("stale", Duration::ZERO).await.is_err());
    }
}
