use serde_json::Value;

/// A server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number.
    pub id: String,
    /// Its kind.
    pub name: String,
    /// Its data.
    pub data: Value,
}

/// The events of a whole stream (the WHATWG HTML standard, "Server-sent events"), comments left out.
pub fn events(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for frame in text.split("\n\n") {
        let field =
            |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_start);
        if let (Some(id), Some(name), Some(data)) = (field("id"), field("event"), field("data")) {
            let data = serde_json::from_str(data).expect("the data of an event is JSON");
            events.push(Event { id: id.to_owned(), name: name.to_owned(), data });
        }
    }
    events
}
