//! The test set: what is asked, and what the model says to it.

use serde_json::{Value, json};
use tests::llm::{Request, Turn};

/// A question that the clients ask. Its words are its name, by which the model knows what to say.
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) collection: Option<&'static str>,
    /// Whether its user stops the answer after the first words.
    pub(super) stopped: bool,
    /// Whether an application loses the connection there, and takes it up again.
    pub(super) resumed: bool,
    turn: fn(&Request) -> Turn,
}

const fn question(name: &'static str, turn: fn(&Request) -> Turn) -> Question {
    Question { name, collection: None, stopped: false, resumed: false, turn }
}

pub(super) const QUESTIONS: [Question; 16] = [
    question("plain", |_| Turn::pieces(["Ducks ", "are", " birds."])),
    question("two calls", |request| match request.rounds() {
        0 => Turn::text("Let me look. ").and_call("search", &json!({ "query": "What do ducks eat?" })),
        1 => search("What does E4821 mean?"),
        _ => Turn::pieces(["Ducks eat grasses [", "1", "]. The pump ", "runs dry [2]", "."]),
    }),
    question("calls at a time", |request| match request.rounds() {
        0 => search("ducks").and_call("search", &json!({ "query": "pumps" })).and_call("list_documents", &json!({})),
        _ => Turn::pieces(["Both [1] [2]."]),
    }),
    question("several citations", |request| match request.rounds() {
        0 => search("ducks"),
        _ => Turn::pieces(["One [1][2], ", "two [3", "] and again [1]. None [99], and [", "7", "7]."]),
    }),
    question("other scripts", |request| match request.rounds() {
        0 => search("ducks"),
        _ => Turn::pieces([
            "🦆",
            "👩\u{200d}👩\u{200d}👧 ",
            "cafe\u{301} ",
            "[1] ",
            "שלום [",
            "2] العالم ",
            "🏳\u{fe0f}\u{200d}🌈",
            "[3]",
            " 日本語 𝔘",
        ]),
    }),
    question("markdown", |request| match request.rounds() {
        0 => search("ducks"),
        _ => Turn::pieces([
            "# Ducks\n\n",
            "| what | eats |\n| --- | --- |\n| duck | \"grass\" [1] |\n\n",
            "```rust\nlet a = b[0];\n",
            "```\n\n- [x] done\n- see [the manual](https://example.com) [2]\n\n",
            "data: not a frame\n\nid: 7\r\n: \u{2028}\t\\n end.",
        ]),
    }),
    question("long", |request| match request.rounds() {
        0 => search("ducks"),
        _ => {
            Turn::pieces((0..3_000).map(|n| if n % 100 == 0 { "Quack [1]. ".to_owned() } else { format!("duck{n} ") }))
        }
    }),
    question("a call that fails", |request| match request.rounds() {
        0 => Turn::call("read_document", &json!({ "document_id": "01J9ZQ3W6V8Y0ABCDEFGHJKMNP" })),
        1 => Turn::call("search", &json!({ "what": 1 })),
        _ => Turn::text("There is no such document."),
    }),
    Question {
        collection: Some("empty"),
        ..question("no sources", |request| match request.rounds() {
            0 => search("ducks"),
            _ => Turn::text("The documents do not say [1]."),
        })
    },
    question("cut off", |request| match request.rounds() {
        0 => search("ducks"),
        _ => Turn::pieces(["Ducks eat [1] and"]).ending("length"),
    }),
    question("breaks", |request| match request.rounds() {
        0 => search("ducks"),
        _ => Turn::pieces(["Ducks eat [1] ", "and then "]).and_break(),
    }),
    question("breaks at once", |_| Turn::default().and_break()),
    question("is refused", |_| Turn::refused(400, "invalid_request_error", "no")),
    Question {
        stopped: true,
        ..question("is stopped", |request| match request.rounds() {
            0 => search("ducks"),
            _ => Turn::text("Ducks [1] ").and_hang(),
        })
    },
    Question {
        resumed: true,
        ..question("is resumed", |request| match request.rounds() {
            0 => search("ducks"),
            _ => Turn::pieces((0..40).map(|n| format!("word{n} [1] ")))
                .paced(std::time::Duration::ZERO, std::time::Duration::from_millis(20)),
        })
    },
    Question {
        collection: Some("manuals"),
        ..question("one collection", |request| match request.rounds() {
            0 => search("ducks"),
            _ => Turn::text("The pump runs dry [1]."),
        })
    },
];

fn search(query: &str) -> Turn {
    Turn::call("search", &json!({ "query": query }))
}

/// What the model says. It takes the same whoever asks, so that the usage can be compared.
pub(super) fn turn(request: &Request) -> Turn {
    let found = QUESTIONS.iter().find(|each| each.name == request.question());
    let turn =
        found.map_or_else(|| Turn::text(&format!("You asked: {}", request.question())), |each| (each.turn)(request));
    turn.usage(100, 10)
}

impl Question {
    /// As the programs of the clients read it.
    pub(super) fn line(&self) -> Value {
        json!({ "name": self.name, "question": self.name, "collection": self.collection, "stop": self.stopped,
            "resume": self.resumed })
    }

    /// As Ragline's own route takes it.
    pub(super) fn native(&self) -> Value {
        json!({ "message": self.name, "collections": self.collection.into_iter().collect::<Vec<_>>() })
    }
}
