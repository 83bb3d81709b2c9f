//! The sample events are events that the functions understand.

use aws_lambda_events::dynamodb::{Event, StreamViewType};
use aws_lambda_events::sqs::SqsEvent;
use lambda_http::http::Request;
use shared::webhooks::{EventType, Notice};
use tests::data;

/// The request that a sample event of the REST API becomes.
fn request(function: &str, file: &str) -> Request<lambda_http::Body> {
    let event = data::project_file(&format!("events/{function}/{file}"));
    lambda_http::request::from_str(&event).unwrap_or_else(|error| panic!("{function}/{file}: {error}"))
}

#[test]
fn rest_events_become_requests_with_method_path_and_body() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let mut seen = 0;
    for function in ["chat", "documents", "health", "search", "upload", "users"] {
        for entry in std::fs::read_dir(folder.join(function)).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let request = request(function, &file);
            assert!(request.uri().path().len() > 1, "{function}/{file}: {}", request.uri());
            if function == "upload" {
                let body = String::from_utf8_lossy(request.body()).into_owned();
                let read = body.contains("form-data; name=\"file\"") || body.starts_with("{\"filename\"");
                assert!(read, "the body is decoded: {body}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 6);
}

#[test]
fn queue_events_are_events_of_the_queue() {
    for file in ["object-created.json", "object-in-turn.json", "s3-test-event.json"] {
        let text = data::project_file(&format!("events/ingest/{file}"));
        let event: SqsEvent = serde_json::from_str(&text).unwrap();
        assert_eq!(event.records.len(), 1, "{file}");
    }
}

#[test]
fn the_sample_for_webhooks_is_a_notice() {
    let event: SqsEvent = serde_json::from_str(&data::project_file("events/webhooks/ready.json")).unwrap();
    let notice: Notice = serde_json::from_str(event.records[0].body.as_ref().unwrap()).unwrap();
    assert_eq!(notice.event.kind, EventType::DocumentReady);
    assert_eq!(event.records[0].attributes["MessageGroupId"], notice.tenant.as_str());
}

#[test]
fn stream_events_are_events_of_the_main_table() {
    for (file, name) in [("modified.json", "MODIFY"), ("removed.json", "REMOVE")] {
        let text = data::project_file(&format!("events/changes/{file}"));
        let event: Event = serde_json::from_str(&text).unwrap();
        assert_eq!(event.records[0].event_name, name, "{file}");
        for record in event.records {
            let change = record.change;
            assert_eq!(change.stream_view_type, Some(StreamViewType::NewAndOldImages), "{file}");
            assert!(change.sequence_number.is_some(), "{file}");
            let images = [change.new_image, change.old_image];
            for image in images.iter().map(serde_dynamo::Item::inner).filter(|image| !image.is_empty()) {
                assert!(change.keys.inner().iter().all(|(name, value)| image.get(name) == Some(value)), "{file}");
            }
        }
    }
}
