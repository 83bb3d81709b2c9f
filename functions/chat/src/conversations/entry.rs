//! How a question gets into its conversation, with the place for its answer.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use serde::{Deserialize, Serialize};
use shared::error::Error;
use shared::tables::{self, Key, text};
use shared::tenancy::{ConversationId, MessageId, Principal, TenantId};
use time::OffsetDateTime;

use super::{Author, ChatId, Conversation, Conversations, Known, Message, Place, TITLE};
use crate::tools::{MOST_SOURCES, Within};

/// Messages before a question that are looked at.
const EARLIER: i32 = 40;
/// Attempts at entering a question while others enter theirs.
const ROUNDS: u64 = 8;

const MOVED_ON: Error = Error::Conflict("The conversation went on meanwhile.");

/// What a user does to a conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change<'a> {
    /// Asks a question, the first one if there is no conversation yet.
    Ask(Option<ConversationId>, &'a str),
    /// Wants another answer to the last question, in place of this answer, if it is named.
    Regenerate(ConversationId, Option<MessageId>),
    /// Replaces the last question, and its answer.
    Edit(ConversationId, &'a str),
    /// Asks a question at a place of a chat, whose conversation begins with it if there is none.
    Chat(&'a ChatId, Place, &'a str),
}

/// A question that was entered.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) conversation: ConversationId,
    /// What is asked.
    pub(crate) question: Message,
    /// The place for the answer.
    pub(crate) answer: Message,
    /// The messages before, oldest first.
    pub(crate) earlier: Vec<Message>,
    /// The highest number that a source has in the conversation.
    pub(crate) highest: usize,
}

type Item = HashMap<String, AttributeValue>;

/// A message as it is stored.
#[derive(Deserialize)]
struct Stored {
    #[serde(flatten)]
    message: Message,
    /// The highest number that any source had until then.
    #[serde(default)]
    highest: usize,
}

/// A conversation as it is stored.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(flatten)]
    conversation: Conversation,
    /// Its last message. Whoever adds one makes sure that it is still the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<MessageId>,
}

impl Conversations {
    /// Enters a question and an answer without a word, both or none. Questions at the same time are entered one after another.
    pub(crate) async fn enter(
        &self,
        principal: &Principal,
        change: Change<'_>,
        within: &Within,
        model: &str,
        now: OffsetDateTime,
    ) -> Result<Entered, Error> {
        for round in 0..ROUNDS {
            tokio::time::sleep(Duration::from_millis(10 * round)).await;
            let (writes, entered) = self.writes(principal, change, within, model, now).await?;
            match self.dynamodb.transact(writes).await? {
                Ok(()) => return Ok(entered),
                Err(_) if matches!(change, Change::Ask(..) | Change::Chat(..)) => {}
                // What was to be replaced is not the last any more.
                Err(_) => return Err(MOVED_ON),
            }
        }
        Err(Error::unavailable("other questions were in the way"))
    }

    /// What has to be written, all of it or nothing. The first of it holds only as long as nobody else entered anything.
    async fn writes(
        &self,
        principal: &Principal,
        change: Change<'_>,
        within: &Within,
        model: &str,
        now: OffsetDateTime,
    ) -> Result<(Vec<TransactWriteItem>, Entered), Error> {
        let tenant = &principal.tenant;
        let (id, mut asked) = match change {
            Change::Ask(None, asked) => return self.first(principal, asked, within, model, now),
            Change::Ask(Some(id), asked) | Change::Edit(id, asked) => (id, Some(asked)),
            Change::Regenerate(id, _) => (id, None),
            Change::Chat(chat, place, asked) => match self.of_chat(principal, chat).await? {
                Known::There(id) => (id, Some(asked)),
                // What its user sees was deleted meanwhile.
                _ if matches!(place, Place::After(Some(_))) => return Err(MOVED_ON),
                known => {
                    let (mut writes, entered) = self.first(principal, asked, within, model, now)?;
                    writes.push(self.enter_chat(principal, chat, known, entered.conversation)?);
                    return Ok((writes, entered));
                }
            },
        };
        let (head, mut earlier) = futures::try_join!(self.head(principal, id), self.earlier(tenant, id))?;
        let last = head.last.max(earlier.last().map(|stored| stored.message.id));
        let (mut question, mut removed) = (None, Vec::new());
        let adds = match change {
            Change::Ask(..) | Change::Chat(_, Place::Next, _) => true,
            Change::Chat(_, Place::After(answer), _) => answer == last_answer(&earlier),
            Change::Regenerate(..) | Change::Edit(..) => false,
        };
        if !adds {
            let answer = earlier.pop_if(|stored| stored.message.role == Author::Assistant).map(|it| it.message.id);
            if matches!(change, Change::Regenerate(_, Some(named)) if answer != Some(named)) {
                return Err(MOVED_ON);
            }
            question = earlier.pop_if(|stored| stored.message.role == Author::User).map(|it| it.message);
            if question.is_none() {
                return Err(Error::Conflict("The conversation has no question yet."));
            }
            if let Change::Chat(_, Place::After(before), _) = change {
                if before != last_answer(&earlier) {
                    return Err(MOVED_ON);
                }
                // The same words are the same question.
                asked = asked.filter(|asked| question.as_ref().is_none_or(|question| question.content != *asked));
            }
            removed.extend(answer);
        }
        let mut puts = Vec::new();
        if let Some(asked) = asked {
            removed.extend(question.map(|replaced| replaced.id));
            let new = Message::question(last.map_or_else(MessageId::new, MessageId::after), asked, within, now);
            puts.push(item(tenant, id, &new, 0)?);
            question = Some(new);
        }
        let question = question.ok_or_else(|| Error::internal("an entry without a question"))?;
        let answer =
            Message::answer(last.max(Some(question.id)).map_or_else(MessageId::new, MessageId::after), model, now);
        let highest = highest(&earlier);
        puts.push(item(tenant, id, &answer, highest)?);

        let mut writes = vec![self.follow(principal, id, head.last, answer.id)?];
        for put in puts {
            writes.push(self.put(put, None)?);
        }
        for gone in removed {
            writes.push(self.remove(Key::message(tenant, id, gone))?);
        }
        let earlier = earlier.into_iter().map(|stored| stored.message).collect();
        Ok((writes, Entered { conversation: id, question, answer, earlier, highest }))
    }

    /// A conversation with its first question.
    fn first(
        &self,
        principal: &Principal,
        asked: &str,
        within: &Within,
        model: &str,
        now: OffsetDateTime,
    ) -> Result<(Vec<TransactWriteItem>, Entered), Error> {
        let tenant = &principal.tenant;
        let conversation = Conversation { id: ConversationId::new(), title: title(asked), created_at: now };
        let id = conversation.id;
        let question = Message::question(MessageId::new(), asked, within, now);
        let answer = Message::answer(question.id.after(), model, now);
        let head = Head { conversation, last: Some(answer.id) };
        let mut head: HashMap<_, _> = serde_dynamo::aws_sdk_dynamodb_1::to_item(head)?;
        head.extend(Key::conversation(tenant, principal.subject(), id).attributes());
        let writes = vec![
            self.put(head, Some("attribute_not_exists(pk)"))?,
            self.put(item(tenant, id, &question, 0)?, None)?,
            self.put(item(tenant, id, &answer, 0)?, None)?,
        ];
        Ok((writes, Entered { conversation: id, question, answer, earlier: Vec::new(), highest: 0 }))
    }

    async fn head(&self, principal: &Principal, id: ConversationId) -> Result<Head, Error> {
        let item = self.dynamodb.get(Key::conversation(&principal.tenant, principal.subject(), id)).await?;
        Ok(serde_dynamo::aws_sdk_dynamodb_1::from_item(item.ok_or(Error::NotFound)?)?)
    }

    /// The last messages, oldest first.
    async fn earlier(&self, tenant: &TenantId, id: ConversationId) -> Result<Vec<Stored>, Error> {
        let answer = self
            .dynamodb
            .client
            .query()
            .table_name(&self.dynamodb.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(tables::conversation_partition(tenant, id)))
            .expression_attribute_values(":prefix", text(tables::MESSAGE))
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(EARLIER)
            .send()
            .await?;
        let mut messages: Vec<Stored> = serde_dynamo::aws_sdk_dynamodb_1::from_items(answer.items.unwrap_or_default())?;
        messages.reverse();
        Ok(messages)
    }

    /// Makes `next` the last message of a conversation, if `last` still is.
    fn follow(
        &self,
        principal: &Principal,
        id: ConversationId,
        last: Option<MessageId>,
        next: MessageId,
    ) -> Result<TransactWriteItem, Error> {
        let update = Update::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::conversation(&principal.tenant, principal.subject(), id).attributes()))
            .update_expression("SET #last = :next")
            .expression_attribute_names("#last", "last")
            .expression_attribute_values(":next", text(next.to_string()));
        let update = match last {
            Some(last) => update
                .condition_expression("#last = :last")
                .expression_attribute_values(":last", text(last.to_string())),
            None => update.condition_expression("attribute_exists(pk) AND attribute_not_exists(#last)"),
        };
        Ok(TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build())
    }

    fn put(&self, item: Item, condition: Option<&str>) -> Result<TransactWriteItem, Error> {
        let put = Put::builder()
            .table_name(&self.dynamodb.table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned));
        Ok(TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build())
    }

    fn remove(&self, key: Key) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder().table_name(&self.dynamodb.table).set_key(Some(key.attributes()));
        Ok(TransactWriteItem::builder().delete(delete.build().map_err(Error::internal)?).build())
    }
}

/// A message as it is stored.
pub(super) fn item(
    tenant: &TenantId,
    conversation: ConversationId,
    message: &Message,
    highest: usize,
) -> Result<Item, Error> {
    let mut item: Item = serde_dynamo::aws_sdk_dynamodb_1::to_item(message.stored())?;
    item.insert("highest".to_owned(), AttributeValue::N(highest.to_string()));
    item.extend(Key::message(tenant, conversation, message.id).attributes());
    Ok(item)
}

/// The answer that is the last message.
fn last_answer(messages: &[Stored]) -> Option<MessageId> {
    let message = &messages.last()?.message;
    (message.role == Author::Assistant).then_some(message.id)
}

/// The highest number that a source has, or may be about to get: what an answer that is still being made has numbered since it
/// was last stored is not known.
fn highest(earlier: &[Stored]) -> usize {
    let Some(answer) = earlier.iter().rfind(|stored| stored.message.role == Author::Assistant) else { return 0 };
    let coming = if answer.message.finish_reason.is_none() { MOST_SOURCES } else { 0 };
    let numbers = answer.message.sources.iter().map(|source| source.n);
    answer.highest.max(numbers.max().unwrap_or(0)) + coming
}

/// The beginning of a question.
fn title(question: &str) -> String {
    let line = question.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut title: String = line.chars().take(TITLE).collect();
    if title.len() < line.len() {
        title.push('…');
    }
    title
}
