//! What is seen of an answer, in the words of the dialects.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::Event;

/// An answer as Ragline's own stream tells it, in the form that `tests/clients/ai.mjs` prints.
pub(super) fn in_events(events: &[Event]) -> Value {
    let of = |name: &'static str| events.iter().filter(move |event| event.name == name).map(|event| &event.data);
    let first = |name: &'static str| of(name).next().cloned().unwrap_or_default();
    let mut numbers = BTreeSet::new();
    let found = of("tool_result").flat_map(|data| data["sources"].as_array().unwrap());
    let sources: Vec<_> = found.filter(|source| numbers.insert(source["n"].as_u64())).map(place).collect();
    let tools = of("tool_call").zip(of("tool_result")).map(|(call, result)| {
        let sources = if result["error"].is_null() { result["sources"].clone() } else { Value::Null };
        json!({ "name": call["name"], "arguments": call["arguments"], "sources": sources, "error": result["error"] })
    });
    let start = first("start");
    json!({
        "model": start["model"],
        "text": of("delta").map(|data| data["text"].as_str().unwrap()).collect::<String>(),
        "sources": sources,
        "citations": of("citation").collect::<Vec<_>>(),
        "tools": tools.collect::<Vec<_>>(),
        "usage": first("usage"),
        "finish_reason": first("done")["finish_reason"],
        "problem": first("error")["code"],
        "error": first("error")["detail"],
        "unfinished": false,
    })
}

/// A source without what it says.
fn place(source: &Value) -> Value {
    let keep = |name: &str| source[name].clone();
    json!({ "filename": keep("filename"), "n": keep("n"), "chunk_id": keep("chunk_id"), "document_id": keep("document_id"),
        "page": keep("page") })
}

/// What of an answer is stored.
pub(super) fn stored_part(seen: &Value) -> Value {
    let parts = ["model", "text", "sources", "citations", "tools", "usage", "finish_reason"];
    parts.map(|part| (part.to_owned(), seen[part].clone())).into_iter().collect::<serde_json::Map<_, _>>().into()
}

/// The same of a message that is read back.
pub(super) fn in_message(message: &Value) -> Value {
    let all = message["sources"].as_array().unwrap();
    let tools = message["tool_calls"].as_array().unwrap().iter().map(|call| {
        let numbers = call["sources"].as_array().unwrap();
        let sources: Vec<_> = numbers.iter().map(|n| all.iter().find(|source| source["n"] == *n).unwrap()).collect();
        let sources = if call["error"].is_null() { json!(sources) } else { Value::Null };
        json!({ "name": call["name"], "arguments": call["arguments"], "sources": sources, "error": call["error"] })
    });
    json!({
        "model": message["model"],
        "text": message["content"],
        "sources": all.iter().map(place).collect::<Vec<_>>(),
        "citations": message["citations"],
        "tools": tools.collect::<Vec<_>>(),
        "usage": message["usage"],
        "finish_reason": message["finish_reason"],
    })
}

/// What OpenAI's clients must see of an answer that Ragline's own stream tells so.
pub(super) fn by_openai(seen: &Value) -> Value {
    let page = |n: &Value| {
        seen["sources"].as_array().unwrap().iter().find(|source| source["n"] == *n).unwrap()["page"].clone()
    };
    let annotations = seen["citations"].as_array().unwrap().iter().map(|citation| {
        json!({ "start": citation["start"], "end": citation["end"], "document_id": citation["document_id"],
            "title": citation["filename"], "page": page(&citation["n"]) })
    });
    let failed = !seen["problem"].is_null();
    let reason = match seen["finish_reason"].as_str().unwrap() {
        "stop" | "stopped" => json!("stop"),
        "length" => json!("length"),
        _ => Value::Null,
    };
    let (input, output) = (seen["usage"]["input_tokens"].as_u64(), seen["usage"]["output_tokens"].as_u64());
    let tokens = |input: u64, output: u64| json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
    json!({
        "text": seen["text"],
        // Neither comes once an error has.
        "annotations": if failed { json!([]) } else { annotations.collect() },
        "usage": if failed { Value::Null } else { tokens(input.unwrap(), output.unwrap()) },
        "finish_reason": reason,
        "problem": seen["problem"],
        "error": seen["error"],
    })
}

/// The same of what `tests/clients/openai.mjs` and `openai_client.py` print.
pub(super) fn openai(answer: &Value) -> Value {
    let annotations = answer["annotations"].as_array().unwrap().iter().map(|annotation| {
        assert_eq!(annotation["type"], "url_citation");
        let cited = &annotation["url_citation"];
        let url: reqwest::Url = cited["url"].as_str().unwrap().parse().unwrap();
        let page = url.fragment().map(|fragment| fragment.strip_prefix("page=").unwrap().parse::<u32>().unwrap());
        let document = url.path_segments().unwrap().nth_back(1).map(str::to_owned);
        json!({ "start": cited["start_index"], "end": cited["end_index"], "document_id": document, "title": cited["title"],
            "page": page })
    });
    let annotations: Vec<_> = annotations.collect();
    json!({
        "text": answer["text"], "annotations": annotations, "usage": answer["usage"], "finish_reason": answer["finish_reason"],
        "problem": answer["problem"], "error": answer["error"],
    })
}
