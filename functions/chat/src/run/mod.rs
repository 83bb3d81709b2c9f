//! One answer, from a question that was accepted to `done`.

mod account;
mod ask;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_stream::stream;
use futures::future::{BoxFuture, OptionFuture};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use shared::config::LlmKind;
use shared::documents::Documents;
use shared::error::Error;
use shared::http::problem_for;
use shared::telemetry::{self, Caught, GenAi, Within};
use shared::tenancy::{ConversationId, MessageId, TenantId};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::State;
use crate::agent::{self, Agent, Bounds, Exchange, Fence, Made};
use crate::conversations::{Author, Change, Conversations, Entered, Message};
use crate::event::{Event, FinishReason, Source, Usage};
use crate::llm::PromptMessage;
use crate::tools::{Scope, Sources, Toolbox};

pub(crate) use account::Account;
pub(crate) use ask::{Ask, Caller, MAX_MESSAGE, Question};

/// How often an answer is stored while it is made.
const STORED_EVERY: Duration = Duration::from_secs(3);
/// What is left of the function's time when an answer must be at its end, to store it.
const MARGIN: Duration = Duration::from_secs(3);
/// The tokens of what a model is told before the conversation, and of the tools that it is shown, at most.
const FRAME: u64 = 2_000;

/// An answer that is being stored: whether there is a conversation to store it in.
type Storing = BoxFuture<'static, Result<bool, Error>>;

/// An answer that has begun.
pub(crate) struct Started {
    /// Names the answer, and the run that makes it.
    pub(crate) message_id: MessageId,
    pub(crate) conversation_id: ConversationId,
    pub(crate) model: String,
    /// The events with their numbers, which count from 1. The answer is made while they are polled.
    pub(crate) events: BoxStream<'static, (u64, Event)>,
}

/// Begins an answer. Whatever can be refused is refused here, before the first byte.
pub(crate) async fn begin(state: &State, caller: Caller, ask: Ask) -> Result<Started, Error> {
    ask.check()?;
    Scope::new(&caller.principal, &ask.within)?;
    let model = state.config.model_for(caller.tenant.chat.model.as_deref()).to_owned();
    let slot = state.runs.admit(&caller.principal, caller.tenant.limits.spending()).await?;
    let account = match account(state, &caller, &ask, &model).await {
        Ok(account) => account,
        Err(error) => {
            slot.release().await;
            return Err(error);
        }
    };
    let (stop, stopped) = watch::channel(false);
    match Box::pin(prepare(state, caller, ask, model, account.clone(), (stop.clone(), stopped))).await {
        Ok((run, agent)) => {
            let (message_id, conversation_id) = (run.answer.id, run.conversation);
            let model = run.answer.model.clone().unwrap_or_default();
            let events = slot.begin(message_id, conversation_id, stop, run.events(agent)).await;
            Ok(Started { message_id, conversation_id, model, events })
        }
        Err(error) => {
            let (settled, ()) = futures::join!(account.settle(Some(Usage::default())), slot.release());
            note_unsettled(settled, "");
            Err(error)
        }
    }
}

/// Reserves what the first turn may take: the question with the longest history, and the longest words.
async fn account(state: &State, caller: &Caller, ask: &Ask, model: &str) -> Result<Account, Error> {
    let tenant = &caller.principal.tenant;
    if state.config.kind_of(model) == LlmKind::Extractive {
        return Ok(Account::unbounded(&state.budgets, tenant));
    }
    let output = caller.tenant.chat.max_output_tokens.unwrap_or(state.config.max_output_tokens);
    let tokens = ask.tokens() + u64::from(state.config.history_tokens) + FRAME + u64::from(output);
    let most = caller.tenant.chat.max_tokens.unwrap_or(state.config.max_tokens);
    let until = OffsetDateTime::now_utc() + state.config.time;
    let budget = caller.tenant.limits.spending().daily_tokens;
    Account::bounded(&state.budgets, tenant, budget, tokens.min(most.into()), until).await
}

/// Enters the question, and makes ready what answers it.
async fn prepare(
    state: &State,
    caller: Caller,
    ask: Ask,
    model: String,
    account: Account,
    (stop, stopped): (watch::Sender<bool>, watch::Receiver<bool>),
) -> Result<(Run, Agent), Error> {
    let entered = enter(state, &caller, &ask, &model).await?;
    // An answer that is made anew is one to the question as it was asked.
    let scope = Scope::left(&caller.principal, &ask.within.or(&entered.question.within()))?;
    let agent = agent(state, &caller, &ask, scope, &entered, account.clone(), stopped).await;
    let run = Run {
        tenant: caller.principal.tenant.clone(),
        conversations: (!ask.is_stateless()).then(|| state.conversations.clone()),
        conversation: entered.conversation,
        answer: entered.answer,
        highest: entered.highest,
        account,
        request_id: caller.request_id.0,
        stop,
    };
    Ok((run, agent))
}

async fn enter(state: &State, caller: &Caller, ask: &Ask, model: &str) -> Result<Entered, Error> {
    let now = OffsetDateTime::now_utc();
    let change = match &ask.question {
        Question::New { conversation, text } => Change::Ask(*conversation, text),
        Question::Regenerate { conversation, answer } => Change::Regenerate(*conversation, *answer),
        Question::Edit { conversation, text } => Change::Edit(*conversation, text),
        Question::Chat { chat, place, text } => Change::Chat(chat, *place, text),
        Question::Stateless { text, .. } => {
            let question = Message::question(MessageId::new(), text, &ask.within, now);
            let answer = Message::answer(question.id.after(), model, now);
            let (conversation, earlier) = (ConversationId::new(), Vec::new());
            return Ok(Entered { conversation, question, answer, earlier, highest: 0 });
        }
    };
    state.conversations.enter(&caller.principal, change, &ask.within, model, now).await
}

async fn agent(
    state: &State,
    caller: &Caller,
    ask: &Ask,
    scope: Scope,
    entered: &Entered,
    account: Account,
    stop: watch::Receiver<bool>,
) -> Agent {
    let model = entered.answer.model.clone().unwrap_or_default();
    let fence = Fence::new();
    let earlier = entered.earlier.iter().flat_map(|message| message.sources.iter().cloned()).collect();
    let earlier = still_there(&state.documents, &scope, earlier).await;
    let sources = Sources::after(earlier, entered.highest);
    let (exchanges, instructions) = if let Question::Stateless { history, instructions, .. } = &ask.question {
        // The numbers in these answers are those of other runs, and would be taken for this one's.
        let said = history.iter().map(|(author, text)| match author {
            Author::User => (*author, text.clone()),
            Author::Assistant => (*author, fence.harmless(text)),
        });
        (exchanges(said, &[]), instructions.as_deref())
    } else {
        let said = entered.earlier.iter().map(|message| (message.role, message.content.clone()));
        (exchanges(said, &cited(&entered.earlier, &sources)), None)
    };
    let mut messages = agent::shown(exchanges, state.config.history_tokens, &fence);
    messages.push(PromptMessage::User(entered.question.content.clone()));
    Agent {
        models: state.models.clone(),
        system: agent::system(&fence, &scope, instructions),
        toolbox: Toolbox {
            retriever: state.retriever.clone(),
            recall: caller.recall.clone(),
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
            &caller.tenant.chat,
            &model,
            Instant::now(),
            caller.time_left().map(|left| Instant::now() + left.saturating_sub(MARGIN)),
        ),
        model,
        account,
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
    account: Account,
    request_id: String,
    stop: watch::Sender<bool>,
}

impl Run {
    /// What happens. What was said is stored before `done`, so that who saw `done` can read it back.
    fn events(mut self, agent: Agent) -> BoxStream<'static, Event> {
        stream! {
            let (message_id, conversation_id) = (self.answer.id, self.conversation);
            let model = self.answer.model.clone().unwrap_or_default();
            yield Event::Start { message_id, conversation_id, model };
            let step = telemetry::invoke_agent(self.answer.model.as_deref().unwrap_or_default(), &conversation_id.to_string());
            let made = Within::new(agent.answer(), step.span().clone());
            let mut made = AssertUnwindSafe(made).catch_unwind();
            // The model does not wait until it is stored what it has said or found so far.
            let (mut storing, mut is_unstored) = (None::<Storing>, false);
            let mut due = tokio::time::interval_at(Instant::now() + STORED_EVERY, STORED_EVERY);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut end = Err(Error::internal("an answer without an end"));
            loop {
                let made = tokio::select! {
                    biased;
                    outcome = until_stored(&mut storing) => {
                        storing = None;
                        self.note_stored(outcome);
                        continue;
                    }
                    _ = due.tick(), if is_unstored && storing.is_none() => {
                        (storing, is_unstored) = (self.store(), false);
                        continue;
                    }
                    made = made.next() => made,
                };
                match made {
                    None => break,
                    Some(Err(panic)) => {
                        end = Err(Caught::of(panic).into());
                        break;
                    }
                    Some(Ok(Made::Event(event))) => {
                        self.answer.add(&event);
                        is_unstored = true;
                        yield event;
                    }
                    Some(Ok(Made::End(reason))) => {
                        end = reason;
                        break;
                    }
                }
            }
            // In their order: or what is half would replace what is whole.
            if let Some(storing) = storing {
                self.note_stored(storing.await);
            }
            let mut finish_reason = match end {
                Ok(reason) => reason,
                Err(error) => {
                    yield self.failure(&error);
                    FinishReason::Error
                }
            };
            self.answer.add(&Event::Done { finish_reason, message_id });
            let (account, used) = (self.account.clone(), self.answer.usage);
            note(&step, &self.answer, finish_reason);
            drop((made, step));
            let (stored, settled) = futures::join!(OptionFuture::from(self.store()), account.settle(used));
            note_unsettled(settled, &self.request_id);
            if let Some(Err(error)) = stored {
                if finish_reason != FinishReason::Error {
                    yield self.failure(&error);
                }
                finish_reason = FinishReason::Error;
            }
            yield Event::Done { finish_reason, message_id };
        }
        .boxed()
    }

    /// Stores how far the answer is, if it is stored at all.
    fn store(&mut self) -> Option<Storing> {
        let conversations = self.conversations.clone()?;
        let numbers = self.answer.sources.iter().map(|source| source.n);
        self.highest = self.highest.max(numbers.max().unwrap_or(0));
        let (tenant, conversation, highest) = (self.tenant.clone(), self.conversation, self.highest);
        let answer = self.answer.clone();
        Some(async move { conversations.update(&tenant, conversation, &answer, highest).await }.boxed())
    }

    /// The answer goes on if it was not stored: its end will be, too.
    fn note_stored(&mut self, outcome: Result<bool, Error>) {
        match outcome {
            Ok(true) => {}
            Ok(false) => {
                // Nobody will read it.
                self.conversations = None;
                self.stop.send_replace(true);
            }
            Err(error) => tracing::warn!(request_id = self.request_id, %error, "a part of an answer was not stored"),
        }
    }

    fn failure(&self, error: &Error) -> Event {
        tracing::error!(request_id = self.request_id, %error, "the answer failed");
        let mut problem = problem_for(error);
        problem.request_id.clone_from(&self.request_id);
        problem.retry_after = error.retry_after_seconds();
        Event::Error(Box::new(problem))
    }
}

/// What became of an answer that is being stored; never, if none is.
async fn until_stored(storing: &mut Option<Storing>) -> Result<bool, Error> {
    match storing {
        Some(storing) => storing.await,
        None => std::future::pending().await,
    }
}

/// What traces tell of an answer.
fn note(step: &GenAi, answer: &Message, finish_reason: FinishReason) {
    let used = answer.usage.unwrap_or_default();
    step.used(used.input_tokens as u64, used.output_tokens as u64);
    step.said(&answer.content);
    if finish_reason == FinishReason::Error {
        step.failed("failed");
    }
}

/// What could not be settled counts as used: too much rather than too little.
fn note_unsettled(settled: Result<(), Error>, request_id: &str) {
    if let Err(error) = settled {
        tracing::error!(request_id, %error, "what an answer reserved was not settled");
    }
}
