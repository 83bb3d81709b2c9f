use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_stream::stream;
use axum::body::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use reqwest::Response;
use shared::error::ModelFault;
use sse_stream::SseByteStream;

use super::chunk::Chunks;
use super::fault;
use crate::llm::pace::Pace;
use crate::llm::{LlmError, Piece};

/// The longest event, in bytes.
const MAX_EVENT: usize = 1024 * 1024;
/// The longest stream, in bytes: some hundred for each of as many tokens as a turn can have.
const MAX_STREAM: usize = 64 * 1024 * 1024;
/// How long a turn that is complete is waited on for its usage.
const USAGE_WAIT: Duration = Duration::from_secs(2);
/// How long the end of the body may take that follows the last event.
const REST_WAIT: Duration = Duration::from_millis(50);
/// What stands for the end of the stream.
const DONE: &str = "[DONE]";

/// The turn in an answer. Whoever drops it closes the connection, unless the answer was read to its end.
pub(super) fn turn(response: Response, pace: Pace) -> impl Stream<Item = Result<Piece, LlmError>> + Send {
    let bytes = futures::stream::try_unfold(response, async |mut response| {
        let bytes = response.chunk().await.map_err(|error| {
            LlmError::new(ModelFault::Broken, format!("the answer broke off: {}", fault::cause(&error)))
        })?;
        Ok(bytes.map(|bytes| (bytes, response)))
    });
    pieces(bytes.boxed(), pace)
}

fn pieces(
    bytes: BoxStream<'static, Result<Bytes, LlmError>>,
    mut pace: Pace,
) -> impl Stream<Item = Result<Piece, LlmError>> + Send {
    stream! {
        let size = Arc::<AtomicUsize>::default();
        let mut events = SseByteStream::new(bounded(bytes, Arc::clone(&size)));
        let mut chunks = Chunks::default();
        loop {
            let data = match pace.within(events.next()).await {
                Ok(Some(Ok(event))) => event.data,
                Ok(None) => break,
                // Nothing is missed but the usage.
                Ok(Some(Err(_))) | Err(_) if chunks.complete() => break,
                Ok(Some(Err(error))) => {
                    yield Err(broken(error));
                    return;
                }
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            size.store(0, Ordering::Relaxed);
            let Some(data) = data else { continue };
            if data == DONE {
                // Only a body that was read to its end leaves its connection to the next turn.
                let _ = tokio::time::timeout(REST_WAIT, events.next()).await;
                break;
            }
            match chunks.read(&data) {
                Ok(text) => {
                    if chunks.complete() {
                        pace.wait(USAGE_WAIT);
                    } else if chunks.begun() {
                        pace.heard();
                    }
                    if let Some(text) = text {
                        yield Ok(Piece::Text(text));
                    }
                }
                Err(error) => {
                    yield Err(error);
                    return;
                }
            }
        }
        drop(events);
        match chunks.end() {
            Ok(pieces) => {
                for piece in pieces {
                    yield Ok(piece);
                }
            }
            Err(error) => yield Err(error),
        }
    }
}

/// The bytes, as long as neither the stream nor, of which `size` is told, an event in it is longer than it may be.
fn bounded(
    bytes: BoxStream<'static, Result<Bytes, LlmError>>,
    size: Arc<AtomicUsize>,
) -> BoxStream<'static, Result<Bytes, LlmError>> {
    let mut whole = 0;
    bytes
        .map(move |bytes| {
            let bytes = bytes?;
            whole += bytes.len();
            let event = size.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
            if event > MAX_EVENT || whole > MAX_STREAM {
                return Err(LlmError::new(ModelFault::Broken, "the answer is longer than any turn"));
            }
            Ok(bytes)
        })
        .boxed()
}

fn broken(error: sse_stream::Error) -> LlmError {
    match error {
        sse_stream::Error::Body(cause) => match cause.downcast::<LlmError>() {
            Ok(error) => *error,
            Err(cause) => LlmError::new(ModelFault::Broken, cause.to_string()),
        },
        error => LlmError::new(ModelFault::Broken, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use shared::config::{LlmConfig, Variables};

    use super::*;
    use crate::event::Usage;
    use crate::llm::Ending;

    const SPOKEN: &str = concat!(
        ": a comment\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
        "event: message\ndata:{\"choices\":[{\"delta\":{\"content\":\"Duck 🦆\"}}]}\n\n",
        "data: {\"choices\":\ndata: [{\"delta\":{\"content\":\" flies.\"}}]}\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n",
        "data: [DONE]\n\n",
    );

    fn pace(first: &str, idle: &str) -> Pace {
        let pairs = [("LLM_FIRST_TIMEOUT_MS", first), ("LLM_IDLE_TIMEOUT_MS", idle)];
        Pace::start(&LlmConfig::from_variables(&Variables::from_pairs(pairs)).unwrap())
    }

    async fn read(bytes: impl Stream<Item = Bytes> + Send + 'static) -> Vec<Result<Piece, ModelFault>> {
        let pieces = pieces(bytes.map(Ok).boxed(), pace("1000", "500"));
        pieces.map(|piece| piece.map_err(|error| error.fault)).collect().await
    }

    #[tokio::test]
    async fn a_stream_means_the_same_wherever_it_is_split() {
        let text = |text: &str| Ok(Piece::Text(text.to_owned()));
        let usage = Piece::Usage(Usage { input_tokens: 3, output_tokens: 2 });
        let expected = [text("Duck 🦆"), text(" flies."), Ok(usage), Ok(Piece::End(Ending::Stop))];
        let spoken = Bytes::from_static(SPOKEN.as_bytes());
        for at in 0..=spoken.len() {
            let parts = [spoken.slice(..at), spoken.slice(at..)];
            assert_eq!(read(futures::stream::iter(parts)).await, expected, "split at {at}");
        }
        let bytes: Vec<_> = (0..spoken.len()).map(|at| spoken.slice(at..=at)).collect();
        assert_eq!(read(futures::stream::iter(bytes)).await, expected, "byte by byte");
    }

    #[tokio::test]
    async fn a_stream_that_ends_anywhere_before_its_last_words_is_broken() {
        let finish = SPOKEN.find("data: {\"choices\":[{\"delta\":{},").unwrap();
        let complete = finish + SPOKEN[finish..].find("\n\n").unwrap() + 2;
        let spoken = Bytes::from_static(SPOKEN.as_bytes());
        for end in 0..spoken.len() {
            let pieces = read(futures::stream::iter([spoken.slice(..end)])).await;
            let expected = if end < complete { Err(ModelFault::Broken) } else { Ok(Piece::End(Ending::Stop)) };
            assert_eq!(pieces.last(), Some(&expected), "cut at {end}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_borne_for_as_long_as_configured() {
        let begins = |bytes: &'static str| {
            futures::stream::iter([Bytes::from_static(bytes.as_bytes())]).chain(futures::stream::pending())
        };
        let started = tokio::time::Instant::now();
        let greeted = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n: still here\n\n";
        assert_eq!(read(begins(greeted)).await, [Err(ModelFault::TimedOut)]);
        assert_eq!(started.elapsed().as_millis(), 1000, "greetings and comments are no piece");

        let started = tokio::time::Instant::now();
        let spoken = "data: {\"choices\":[{\"delta\":{\"content\":\"Ducks\"}}]}\n\n";
        let pieces = read(begins(spoken)).await;
        assert_eq!(pieces, [Ok(Piece::Text("Ducks".to_owned())), Err(ModelFault::TimedOut)]);
        assert_eq!(started.elapsed().as_millis(), 500);

        let complete = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        assert_eq!(read(begins(complete)).await, [Ok(Piece::End(Ending::Stop))], "only the usage is missing");
    }

    #[tokio::test]
    async fn an_event_without_an_end_is_given_up() {
        let endless = futures::stream::repeat(Bytes::from(vec![b'x'; 64 * 1024]));
        let begin = futures::stream::iter([Bytes::from_static(b"data: ")]);
        assert_eq!(read(begin.chain(endless)).await, [Err(ModelFault::Broken)]);
        let comments = futures::stream::repeat(Bytes::from(format!(": {}\n\n", "x".repeat(1000))));
        assert_eq!(read(comments).await, [Err(ModelFault::Broken)]);
    }
}
