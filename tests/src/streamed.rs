use serde_json::Value;

use crate::{Event, User, events};

/// An answer of the native stream, read to its end.
#[derive(Debug, Clone)]
pub struct Streamed {
    /// Its events in their order.
    pub events: Vec<Event>,
}

impl User<'_> {
    /// Asks `/chat`, or another route that streams an answer, and reads the stream to its end.
    pub async fn asks(&self, path: &str, body: Value) -> Streamed {
        let body = body.to_string().into_bytes();
        let response = self.send(reqwest::Method::POST, path, "application/json", body).await;
        let status = response.status();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let text = response.text().await.unwrap();
        assert_eq!((status.as_u16(), kind.as_str()), (200, "text/event-stream"), "{text}");
        Streamed { events: events(&text) }
    }
}

impl Streamed {
    /// The data of the events by this name.
    pub fn all(&self, name: &str) -> Vec<Value> {
        self.events.iter().filter(|event| event.name == name).map(|event| event.data.clone()).collect()
    }

    /// What was said.
    pub fn text(&self) -> String {
        self.all("delta").iter().map(|delta| delta["text"].as_str().unwrap()).collect()
    }

    /// Where it cites what.
    pub fn citations(&self) -> Vec<Value> {
        self.all("citation")
    }

    /// The numbers that it cites, in order.
    pub fn cited(&self) -> Vec<u64> {
        self.citations().iter().map(|citation| citation["n"].as_u64().unwrap()).collect()
    }

    /// What the tools found, each passage once.
    pub fn sources(&self) -> Vec<Value> {
        let mut sources: Vec<Value> = Vec::new();
        for source in self.all("tool_result").iter().flat_map(|result| result["sources"].as_array().unwrap().clone()) {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        sources
    }

    /// Why it ended.
    pub fn finish_reason(&self) -> String {
        let done = self.events.last().expect("an answer has events");
        assert_eq!(done.name, "done");
        done.data["finish_reason"].as_str().unwrap().to_owned()
    }

    /// The conversation it belongs to.
    pub fn conversation(&self) -> String {
        self.events[0].data["conversation_id"].as_str().unwrap().to_owned()
    }

    /// The id of its message.
    pub fn message(&self) -> String {
        self.events[0].data["message_id"].as_str().unwrap().to_owned()
    }

    /// Every marker that the text shows is cited where it stands, and everything that is cited is among these sources.
    pub fn assert_cited_from(&self, sources: &[Value]) {
        let text = self.text();
        let units: Vec<u16> = text.encode_utf16().collect();
        for citation in self.citations() {
            let place = |name: &str| usize::try_from(citation[name].as_u64().unwrap()).unwrap();
            let marker = &units[place("start")..place("end")];
            assert_eq!(String::from_utf16(marker).unwrap(), format!("[{}]", citation["n"]), "{text}");
            let source = sources.iter().find(|source| source["n"] == citation["n"]);
            let source = source.unwrap_or_else(|| panic!("{citation} is of nothing that was found"));
            for name in ["chunk_id", "document_id", "filename"] {
                assert_eq!(source[name], citation[name]);
            }
        }
        assert_eq!(markers(&text), self.cited(), "{text}");
    }
}

/// The numbers in what a reader of a text takes for markers.
pub fn markers(text: &str) -> Vec<u64> {
    let numbers = text.match_indices('[').filter_map(|(place, _)| {
        let inner = text[place + 1..].split_once(']')?.0;
        let digits = !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| inner.parse().unwrap_or(u64::MAX))
    });
    numbers.collect()
}
