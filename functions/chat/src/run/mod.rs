//! One answer, from a question that was accepted to `done`.

mod ask;

use std::time::Duration;

use async_stream::stream;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use shared::documents::Documents;
use shared::error::Error;
use shared::http::problem_for;
use shared::tenancy::{ConversationId, MessageId, TenantId};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::State;
use crate::agent::{self, Agent, Bounds, Exchange, Fence, Made};
use crate::conversations::{Author, Change, Conversations, Entered, Message};
use crate::event::{Event, FinishReason, Source};
use crate::llm::PromptMessage;
use crate::tools::{Scope, Sources, Toolbox};

pub(crate) use ask::{Ask, Caller, Question};

/// How often an answer is stored while it is being said.
const STORED_EVERY: Duration = Duration::from_secs(3);
/// What is left of the function's time when an answer must be at its end, to store it.
const MARGIN: Duration = Duration::from_secs(3);

/// An answer that has begun.
pub(crate) struct Started {
    /// Names the answer, and the run that makes it.
    pub(crate) message_id: MessageId,
    pub(crate) conversation_id: ConversationId,
    pub(crate) model: String,
    /// The events with their numbers, which count from 1. The answer is made while they are polled.
    pub(crate) events: BoxStream<'static, (u64, Event)>,
    /// Ends the answer early with what was said so far.
    #[expect(dead_code, reason = "nobody stops it yet")]
    pub(crate) stop: watch::Sender<bool>,
}

/// Begins an answer. Whatever can be refused is refused here, before the first byte.
pub(crate) async fn begin(state: &State, caller: Caller, ask: Ask) -> Result<Started, Error> {
    ask.check()?;
    let scope = Scope::new(&caller.principal, &ask.collections)?;
    let model = state.config.model_for(None).to_owned();
    let entered = enter(state, &caller, &ask, &model).await?;
    // An answer that is made anew is one to the question as it was asked.
    let scope =
        if ask.collections.is_empty() { Scope::left(&caller.principal, &entered.question.collections) } else { scope };
    let (message_id, conversation_id) = (entered.answer.id, entered.conversation);
    let (stop, stopped) = watch::channel(false);
    let agent = agent(state, &caller, &ask, scope, &model, &entered, stopped).await;
    let run = Run {
        tenant: caller.principal.tenant.clone(),
        conversations: (!ask.is_stateless()).then(|| state.conversations.clone()),
        conversation: conversation_id,
        answer: entered.answer,
        highest: entered.highest,
        request_id: caller.request_id.0,
        stop: stop.clone(),
    };
    let events = futures::stream::iter(1..).zip(run.events(agent)).boxed();
    Ok(Started { message_id, conversation_id, model, events, stop })
}

async fn enter(state: &State, caller: &Caller, ask: &Ask, model: &str) -> Result<Entered, Error> {
    let now = OffsetDateTime::now_utc();
    let change = match &ask.question {
        Question::New { conversation, text } => Change::Ask(*conversation, text),
        Question::Regenerate { conversation, answer } => Change::Regenerate(*conversation, *answer),
        Question::Edit { conversation, text } => Change::Edit(*conversation, text),
        Question::Stateless { text, .. } => {
            let question = Message::question(MessageId::new(), text, &ask.collections, now);
            let answer = Message::answer(question.id.after(), model, now);
            let (conversation, earlier) = (ConversationId::new(), Vec::new());
            return Ok(Entered { conversation, question, answer, earlier, highest: 0 });
        }
    };
    state.conversations.enter(&caller.principal, change, &ask.collections, model, now).await
}

async fn agent(
    state: &State,
    caller: &Caller,
    ask: &Ask,
    scope: Scope,
    model: &str,
    entered: &Entered,
    stop: watch::Receiver<bool>,
) -> Agent {
    let fence = Fence::new();
    let earlier = entered.earlier.iter().flat_map(|message| message.sources.iter().cloned()).collect();
    let earlier = still_there(&state.documents, &scope, earlier).await;
    let sources = Sources::after(earlier, entered.highest);
    let (exchanges, instructions) = match &ask.question {
        Question::Stateless { history, instructions, .. } => {
            // The numbers in these answers are those of other runs, and would be taken for this one's.
            let said = history.iter().map(|(author, text)| match author {
                Author::User => (*author, text.clone()),
                Author::Assistant => (*author, fence.harmless(text)),
            });
            (exchanges(said, &[]), instructions.as_deref())
        }
        _ => {
            let said = entered.earlier.iter().map(|message| (message.role, message.content.clone()));
            (exchanges(said, &cited(&entered.earlier, &sources)), None)
        }
    };
    let mut messages = agent::shown(exchanges, state.config.history_tokens, &fence);
    messages.push(PromptMessage::User(entered.question.content.clone()));
    Agent {
        models: state.models.clone(),
        model: model.to_owned(),
        system: agent::system(&fence, &scope, instructions),
        toolbox: Toolbox {
            retriever: state.retriever.clone(),
            documents: state.documents.clone(),
            texts: state.texts.clone(),
            pages: state.pages.clone(),
            scope,
            result_tokens: state.config.result_tokens as usize,
        },
        fence,
        messages,
        sources,
        bounds: Bounds::new(
            &state.config,
            model,
            Instant::now(),
            caller.time_left().map(|left| Instant::now() + left.saturating_sub(MARGIN)),
        ),
        stop,
        request_id: caller.request_id.0.clone(),
    }
}

/// Those of the sources of earlier answers whose documents are there, and may still be looked into. None if that cannot be told
/// right now: the question is entered already, and is better answered without.
async fn still_there(documents: &Documents, scope: &Scope, mut sources: Vec<Source>) -> Vec<Source> {
    if !sources.is_empty() {
        let ids = sources.iter().map(|source| source.document_id);
        let documents = documents.get_many(&scope.principal().tenant, ids).await;
        let documents = documents.inspect_err(|error| tracing::warn!(%error, "earlier sources cannot be cited"));
        let documents = documents.unwrap_or_default();
        sources.retain(|source| documents.get(&source.document_id).is_some_and(|document| scope.holds(document)));
    }
    sources
}

/// What each of the messages cites that may still be cited.
fn cited(messages: &[Message], sources: &Sources) -> Vec<Vec<Source>> {
    let of =
        |message: &Message| message.citations.iter().filter_map(|citation| sources.get(citation.n).cloned()).collect();
    messages.iter().map(of).collect()
}

/// The questions that were answered, with their answers and what those cite.
fn exchanges(said: impl Iterator<Item = (Author, String)>, cited: &[Vec<Source>]) -> Vec<Exchange> {
    let (mut exchanges, mut asked) = (Vec::new(), None);
    for (place, (author, text)) in said.enumerate() {
        match author {
            Author::User => asked = Some(text),
            Author::Assistant if text.is_empty() => {}
            Author::Assistant => {
                if let Some(question) = asked.take() {
                    let cited = cited.get(place).cloned().unwrap_or_default();
                    exchanges.push(Exchange { question, answer: text, cited });
                }
            }
        }
    }
    exchanges
}

/// An answer that is being made.
struct Run {
    tenant: TenantId,
    /// Where it is stored, if it is.
    conversations: Option<Conversations>,
    conversation: ConversationId,
    answer: Message,
    /// The highest number of a source in the conversation.
    highest: usize,
    request_id: String,
    stop: watch::Sender<bool>,
}

impl Run {
    /// What happens. What was said is stored before `done`, so that who saw `done` can read it back.
    fn events(mut self, agent: Agent) -> impl Stream<Item = Event> {
        stream! {
            let (message_id, conversation_id) = (self.answer.id, self.conversation);
            let model = self.answer.model.clone().unwrap_or_default();
            yield Event::Start { message_id, conversation_id, model };
            let mut made = std::pin::pin!(agent.answer());
            let mut stored = Instant::now();
            let mut end = Err(Error::internal("an answer without an end"));
            while let Some(made) = made.next().await {
                let step = match made {
                    Made::Event(event) => {
                        self.answer.add(&event);
                        yield event;
                        false
                    }
                    Made::Step => true,
                    Made::End(reason) => {
                        end = reason;
                        break;
                    }
                };
                if step || stored.elapsed() >= STORED_EVERY {
                    self.store_so_far().await;
                    stored = Instant::now();
                }
            }
            let mut finish_reason = match end {
                Ok(reason) => reason,
                Err(error) => {
                    yield self.failure(&error);
                    FinishReason::Error
                }
            };
            self.answer.add(&Event::Done { finish_reason, message_id });
            if let Err(error) = self.store().await {
                if finish_reason != FinishReason::Error {
                    yield self.failure(&error);
                }
                finish_reason = FinishReason::Error;
            }
            yield Event::Done { finish_reason, message_id };
        }
    }

    /// Stores how far the answer is. It goes on if that fails: the end is stored, too.
    async fn store_so_far(&mut self) {
        if let Err(error) = self.store().await {
            tracing::warn!(request_id = self.request_id, %error, "a part of an answer was not stored");
        }
    }

    async fn store(&mut self) -> Result<(), Error> {
        let Some(conversations) = &self.conversations else { return Ok(()) };
        let numbers = self.answer.sources.iter().map(|source| source.n);
        self.highest = self.highest.max(numbers.max().unwrap_or(0));
        let there = conversations.update(&self.tenant, self.conversation, &self.answer, self.highest).await?;
        if !there {
            // Nobody will read it.
            self.conversations = None;
            self.stop.send_replace(true);
        }
        Ok(())
    }

    fn failure(&self, error: &Error) -> Event {
        tracing::error!(request_id = self.request_id, %error, "the answer failed");
        let mut problem = problem_for(error);
        problem.request_id.clone_from(&self.request_id);
        problem.retry_after = error.retry_after_seconds();
        Event::Error(Box::new(problem))
    }
}
