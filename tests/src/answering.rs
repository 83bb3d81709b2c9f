use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::sse::{Event, events};
use crate::user::User;

/// The longest silence on a stream.
const LIMIT: Duration = Duration::from_secs(30);

/// An answer that is read as it comes. Dropped, it closes its connection.
pub struct Answering {
    response: Response,
    unread: String,
    /// The events so far.
    pub events: Vec<Event>,
}

impl Answering {
    /// Asks a question.
    pub async fn ask(user: &User<'_>, body: Value) -> Self {
        let body = body.to_string().into_bytes();
        Self::of(user.send(Method::POST, "/chat", "application/json", body).await)
    }

    /// Goes on in an answer after an event; none if there is nothing.
    pub async fn resume(user: &User<'_>, message: &str, after: usize) -> Option<Self> {
        let path = format!("/chat/{message}/stream?after={after}");
        let response = user.send(Method::GET, &path, "", Vec::new()).await;
        (response.status() != 204).then(|| Self::of(response))
    }

    /// The stream in a response.
    pub fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        Self { response, unread: String::new(), events: Vec::new() }
    }

    /// Reads on until there are so many events, or the stream ends; whether there are.
    pub async fn read(&mut self, number: usize) -> bool {
        while self.events.len() < number {
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await.expect("the stream is not silent");
            let Ok(Some(chunk)) = chunk else { return false };
            // All that the tests' models say is ASCII, so no character is cut.
            self.unread.push_str(str::from_utf8(&chunk).unwrap());
            if let Some(end) = self.unread.rfind("\n\n") {
                let rest = self.unread.split_off(end + 2);
                self.events.extend(events(&std::mem::replace(&mut self.unread, rest)));
            }
        }
        true
    }

    /// Reads on until there is an event with this name.
    pub async fn read_to(&mut self, name: &str) -> &Event {
        while !self.events.iter().any(|event| event.name == name) {
            assert!(self.read(self.events.len() + 1).await, "the stream ended before: {:?}", self.events);
        }
        self.events.iter().find(|event| event.name == name).unwrap()
    }

    /// All events.
    pub async fn to_end(mut self) -> Vec<Event> {
        while self.read(self.events.len() + 1).await {}
        self.events
    }

    /// The id of the answer.
    pub async fn message_id(&mut self) -> String {
        self.read_to("start").await.data["message_id"].as_str().unwrap().to_owned()
    }

    /// The words in events.
    pub fn text(events: &[Event]) -> String {
        events.iter().filter(|event| event.name == "delta").map(|event| event.data["text"].as_str().unwrap()).collect()
    }

    /// Why the answer ended.
    pub fn finish_reason(events: &[Event]) -> &str {
        let done = events.last().filter(|event| event.name == "done").expect("the stream ends with done");
        done.data["finish_reason"].as_str().unwrap()
    }

    /// A question.
    pub fn question(text: &str) -> Value {
        json!({ "message": text })
    }
}
