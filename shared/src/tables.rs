//! The two tables: their keys, and the one definition that local servers and tests create them from. A test holds the
//! definition against `template.yaml`.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clients::DynamoDb;
use crate::editions::{self, Edition};
use crate::error::Error;
use crate::tenancy::{
    AuditId, CollectionId, ConversationId, DocumentId, EventId, InvalidId, KeyId, MessageId, RegistrationId, Subject,
    TenantId, UserId, WebhookId,
};
use crate::terms::Term;

/// The index that lists a collection's documents.
pub const BY_COLLECTION: &str = "by_collection";
/// The index of a collection's documents by what filters ask about.
pub const CATALOGUE: &str = "catalogue";
/// What it holds beside the keys.
const CATALOGUED: [&str; 3] = ["chunk_count", "metadata", "served_version"];
/// The attribute that names the partitions of both.
pub const COLLECTION_KEY: &str = "collection_key";
/// The index that lists the passages in which an exact term stands.
pub const BY_TERM: &str = "by_term";
/// The attribute that names its partitions.
pub const TERM: &str = "term";
/// The attribute with the time, in seconds since 1970, after which DynamoDB may remove an item. It takes days at times.
pub const EXPIRES_AT: &str = "expires_at";
/// What the vector indexes return beside the keys and the attributes it is searched by.
pub const PROJECTED: [&str; 7] = ["chunk_index", "heading", "page", "span_end", "span_start", "text", "version"];

/// The key of one item. Every one but the health check's is made from a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The partition.
    pub pk: String,
    /// The place within it.
    pub sk: String,
}

impl Key {
    /// An item that never exists.
    pub fn health() -> Self {
        Self { pk: "HEALTH".to_owned(), sk: "HEALTH".to_owned() }
    }

    /// What is known of a tenant.
    pub fn tenant(tenant: &TenantId) -> Self {
        Self { pk: partition(tenant), sk: TENANT.to_owned() }
    }

    /// What is kept of a user.
    pub fn user(tenant: &TenantId, user: &UserId) -> Self {
        Self { pk: partition(tenant), sk: format!("{USER}{user}") }
    }

    /// Which users of a tenant are owners.
    pub fn owners(tenant: &TenantId) -> Self {
        Self { pk: partition(tenant), sk: "OWNERS".to_owned() }
    }

    /// An API key as its tenant lists it.
    pub fn api_key(tenant: &TenantId, id: KeyId) -> Self {
        Self { pk: partition(tenant), sk: format!("{API_KEY}{id}") }
    }

    /// Whose an API key is, by the hash of its text: the one item that is found before a tenant is known.
    pub fn api_key_owner(sha256: &str) -> Self {
        Self { pk: format!("KEY#{sha256}"), sk: "KEY".to_owned() }
    }

    /// An entry of a tenant's audit trail.
    pub fn audit(tenant: &TenantId, id: AuditId) -> Self {
        Self { pk: partition(tenant), sk: format!("{AUDIT}{id}") }
    }

    /// What a tenant used in a month (`2026-11`).
    pub fn usage(tenant: &TenantId, month: &str) -> Self {
        Self { pk: partition(tenant), sk: format!("USAGE#{month}") }
    }

    /// The account of a tenant's answers on a day (`2026-11-26`).
    pub fn budget(tenant: &TenantId, day: &str) -> Self {
        Self { pk: partition(tenant), sk: format!("{BUDGET}{day}") }
    }

    /// The mark that a record of the stream was counted.
    pub fn counted(tenant: &TenantId, record: &str) -> Self {
        Self { pk: partition(tenant), sk: format!("COUNTED#{record}") }
    }

    /// What a tenant stores.
    pub fn stock(tenant: &TenantId) -> Self {
        Self { pk: partition(tenant), sk: "STOCK".to_owned() }
    }

    /// The mark of changes that the cache could not be told of.
    pub fn mark(tenant: &TenantId) -> Self {
        Self { pk: partition(tenant), sk: "MARK".to_owned() }
    }

    /// A collection.
    pub fn collection(tenant: &TenantId, id: &CollectionId) -> Self {
        Self { pk: partition(tenant), sk: format!("{COLLECTION}{id}") }
    }

    /// A webhook.
    pub fn webhook(tenant: &TenantId, id: &WebhookId) -> Self {
        Self { pk: partition(tenant), sk: format!("{WEBHOOK}{id}") }
    }

    /// What became of telling a webhook of an event.
    pub fn delivery(tenant: &TenantId, registration: RegistrationId, event: EventId) -> Self {
        Self { pk: deliveries_partition(tenant, registration), sk: format!("{EVENT}{event}") }
    }

    /// A document.
    pub fn document(tenant: &TenantId, id: DocumentId) -> Self {
        Self { pk: partition(tenant), sk: format!("{DOCUMENT}{id}") }
    }

    /// The note that a document was deleted.
    pub fn removal(tenant: &TenantId, id: DocumentId) -> Self {
        Self { pk: partition(tenant), sk: format!("REMOVED#{id}") }
    }

    /// The mark that some bytes are in a collection already.
    pub fn content_hash(tenant: &TenantId, collection: &CollectionId, sha256: &str) -> Self {
        Self { pk: partition(tenant), sk: format!("HASH#{collection}#{sha256}") }
    }

    /// The answer to a request that may be repeated, by a hash of who asked, for what, and under which `Idempotency-Key`.
    pub fn idempotency(tenant: &TenantId, hash: &str) -> Self {
        Self { pk: partition(tenant), sk: format!("IDEM#{hash}") }
    }

    /// A conversation of a user or of an API key.
    pub fn conversation(tenant: &TenantId, subject: Subject<'_>, id: ConversationId) -> Self {
        Self { pk: conversations_partition(tenant, subject), sk: format!("{CONVERSATION}{id}") }
    }

    /// Which conversation a chat of an application is, by a hash of the id that it has there.
    pub fn chat(tenant: &TenantId, subject: Subject<'_>, hash: &str) -> Self {
        Self { pk: conversations_partition(tenant, subject), sk: format!("{CHAT}{hash}") }
    }

    /// A message of a conversation.
    pub fn message(tenant: &TenantId, conversation: ConversationId, id: MessageId) -> Self {
        Self { pk: conversation_partition(tenant, conversation), sk: format!("{MESSAGE}{id}") }
    }

    /// A passage, in the table of chunks. The numbers are padded so that they sort.
    pub fn chunk(tenant: &TenantId, document: DocumentId, version: u32, index: u32) -> Self {
        Self { pk: document_partition(tenant, document), sk: format!("{}{index:06}", chunk_version_prefix(version)) }
    }

    /// That an exact term stands in a passage, in the table of chunks: in the partition of the document, so that whatever
    /// removes the passage finds it.
    pub fn posting(tenant: &TenantId, document: DocumentId, version: u32, index: u32, term: &Term) -> Self {
        let Self { pk, sk } = Self::chunk(tenant, document, version, index);
        Self { pk, sk: format!("{POSTING}{sk}#{term}") }
    }

    /// The key as the attributes of an item.
    pub fn attributes(self) -> HashMap<String, AttributeValue> {
        HashMap::from([("pk".to_owned(), AttributeValue::S(self.pk)), ("sk".to_owned(), AttributeValue::S(self.sk))])
    }
}

/// Whose an item of the main table is and what it is, read back from its stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is.
    pub kind: Kind,
}

/// What an item in the partition of a tenant is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The tenant itself.
    Tenant,
    /// One of its users.
    User(UserId),
    /// One of its API keys.
    ApiKey(KeyId),
    /// A collection.
    Collection(CollectionId),
    /// A document.
    Document(DocumentId),
}

impl Stored {
    /// Reads a key; `None` for everything that is none of these kinds. An error if the key names what cannot exist.
    pub fn from_key(pk: &str, sk: &str) -> Result<Option<Self>, InvalidId> {
        let Some(rest) = pk.strip_prefix("T#") else { return Ok(None) };
        // What has a part behind it is of a user, a conversation or a document.
        if rest.contains('#') {
            return Ok(None);
        }
        Kind::in_partition_of_tenant(sk)?.map(|kind| Ok(Self { tenant: rest.parse()?, kind })).transpose()
    }
}

impl Kind {
    fn in_partition_of_tenant(sk: &str) -> Result<Option<Self>, InvalidId> {
        if sk == TENANT {
            return Ok(Some(Self::Tenant));
        }
        let Some((kind, id)) = sk.split_once('#') else { return Ok(None) };
        Ok(Some(match kind {
            "USER" => Self::User(id.parse()?),
            "APIKEY" => Self::ApiKey(id.parse()?),
            "COLLECTION" => Self::Collection(id.parse()?),
            "DOC" => Self::Document(id.parse()?),
            _ => return Ok(None),
        }))
    }
}

/// The sort key of a tenant's own item.
pub const TENANT: &str = "TENANT";
/// What the sort keys of users begin with.
pub const USER: &str = "USER#";
/// What the sort keys of API keys begin with.
pub const API_KEY: &str = "APIKEY#";
/// What the sort keys of the audit trail begin with.
pub const AUDIT: &str = "AUDIT#";
/// What the sort keys of collections begin with.
pub const COLLECTION: &str = "COLLECTION#";
/// What the sort keys of documents begin with.
pub const DOCUMENT: &str = "DOC#";
/// What the sort keys of the accounts of days begin with.
pub const BUDGET: &str = "BUDGET#";
/// What the sort keys of webhooks begin with.
pub const WEBHOOK: &str = "WEBHOOK#";
/// What the sort keys of a webhook's deliveries begin with.
pub const EVENT: &str = "EVENT#";
/// What the sort keys of conversations begin with.
pub const CONVERSATION: &str = "CONV#";
/// What the sort keys of chats begin with.
pub const CHAT: &str = "CHAT#";
/// What the sort keys of messages begin with.
pub const MESSAGE: &str = "MSG#";

/// What the sort keys of postings begin with. Those of passages sort before.
pub const POSTING: &str = "TERM#";

/// The partition of a tenant's own items.
pub fn partition(tenant: &TenantId) -> String {
    format!("T#{tenant}")
}

/// The partition of the conversations of a user or of an API key.
pub fn conversations_partition(tenant: &TenantId, subject: Subject<'_>) -> String {
    match subject {
        Subject::User(user) => format!("T#{tenant}#U#{user}"),
        Subject::Key(key) => format!("T#{tenant}#K#{key}"),
    }
}

/// The partition of what a webhook was told, by its registration: another webhook by the same id has one of its own.
pub fn deliveries_partition(tenant: &TenantId, registration: RegistrationId) -> String {
    format!("T#{tenant}#HOOK#{registration}")
}

/// The partition of a conversation's messages.
pub fn conversation_partition(tenant: &TenantId, conversation: ConversationId) -> String {
    format!("T#{tenant}#CONV#{conversation}")
}

/// The partition of a document's passages, in the table of chunks.
pub fn document_partition(tenant: &TenantId, document: DocumentId) -> String {
    format!("{}{document}", documents_prefix(tenant))
}

/// What the partitions of passages begin with that belong to a tenant.
pub fn documents_prefix(tenant: &TenantId) -> String {
    format!("T#{tenant}#DOC#")
}

/// What the sort keys of the passages of one version begin with.
pub fn chunk_version_prefix(version: u32) -> String {
    format!("{version:06}#")
}

/// The partition of [`BY_COLLECTION`] that holds a collection's documents.
pub fn collection_partition(tenant: &TenantId, collection: &CollectionId) -> String {
    format!("T#{tenant}#{collection}")
}

/// What the partitions of [`BY_TERM`] begin with that belong to a collection.
pub fn terms_prefix(tenant: &TenantId, collection: &CollectionId) -> String {
    format!("T#{tenant}#{collection}#TERM#")
}

/// The partition of [`BY_TERM`] that holds the passages of a collection in which a term stands.
pub fn term_partition(tenant: &TenantId, collection: &CollectionId, term: &Term) -> String {
    format!("{}{term}", terms_prefix(tenant, collection))
}

/// The partition of the vector indexes: a search examines one collection of one tenant and nothing else.
pub fn vector_scope(tenant: &TenantId, collection: &CollectionId) -> String {
    format!("{tenant}#{collection}")
}

/// A string attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A time as it stands in items.
pub fn time(value: OffsetDateTime) -> Result<AttributeValue, Error> {
    value.format(&Rfc3339).map(AttributeValue::S).map_err(Error::internal)
}

/// A vector as the list of numbers that the index reads.
pub fn vector(values: &[f32]) -> Vec<AttributeValue> {
    values.iter().map(|value| AttributeValue::N(value.to_string())).collect()
}

/// The numbers of a vector as it is stored.
pub fn numbers(vector: &AttributeValue) -> Option<Vec<f32>> {
    vector.as_l().ok()?.iter().map(|number| number.as_n().ok()?.parse().ok()).collect()
}

/// Creates the tables that do not exist yet, with the index of one edition, for vectors of `dimensions` numbers; and the
/// indexes that tables from before them lack.
pub async fn create(dynamodb: &DynamoDb, edition: Edition, dimensions: usize) -> Result<(), Error> {
    let existing = dynamodb.client.list_tables().send().await?.table_names.unwrap_or_default();
    if existing.contains(&dynamodb.table) {
        add_index(dynamodb, &dynamodb.table, CATALOGUE, keys_by_collection()?, catalogued()).await?;
    } else {
        main_table(dynamodb)?.send().await?;
    }
    if existing.contains(&dynamodb.chunks_table) {
        add_index(dynamodb, &dynamodb.chunks_table, BY_TERM, keys_by_term()?, keys_only()).await?;
    } else {
        chunks_table(dynamodb, edition, dimensions)?.send().await?;
    }
    Ok(())
}

/// The request that creates the main table.
pub fn main_table(dynamodb: &DynamoDb) -> Result<CreateTableFluentBuilder, Error> {
    let index = |name, projection| {
        GlobalSecondaryIndex::builder()
            .index_name(name)
            .set_key_schema(Some(keys_by_collection()?))
            .projection(projection)
            .build()
            .map_err(Error::internal)
    };
    let by_collection = index(BY_COLLECTION, Projection::builder().projection_type(ProjectionType::All).build())?;
    let catalogue = index(CATALOGUE, catalogued())?;
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .map_err(Error::internal)?;
    let request = table(dynamodb, &dynamodb.table, &["pk", "sk", COLLECTION_KEY])?;
    let request = request.global_secondary_indexes(by_collection).global_secondary_indexes(catalogue);
    Ok(request.stream_specification(stream))
}

/// The request that creates the table of chunks, with the index of one edition.
pub fn chunks_table(
    dynamodb: &DynamoDb,
    edition: Edition,
    dimensions: usize,
) -> Result<CreateTableFluentBuilder, Error> {
    let index = editions::definition(edition, dimensions)?;
    let by_term = GlobalSecondaryIndex::builder()
        .index_name(BY_TERM)
        .set_key_schema(Some(keys_by_term()?))
        .projection(keys_only())
        .build()
        .map_err(Error::internal)?;
    table(dynamodb, &dynamodb.chunks_table, &["pk", "sk", "scope", "document_id", TERM])
        .map(|request| request.vector_indexes(index).global_secondary_indexes(by_term))
}

/// Adds an index to a table, unless it is there.
async fn add_index(
    dynamodb: &DynamoDb,
    table: &str,
    name: &str,
    keys: Vec<KeySchemaElement>,
    projection: Projection,
) -> Result<(), Error> {
    let described = dynamodb.client.describe_table().table_name(table).send().await?;
    let indexes = described.table.and_then(|table| table.global_secondary_indexes).unwrap_or_default();
    if indexes.iter().any(|index| index.index_name() == Some(name)) {
        return Ok(());
    }
    let mut request = dynamodb.client.update_table().table_name(table);
    for key in &keys {
        request = request.attribute_definitions(string(key.attribute_name())?);
    }
    let create = CreateGlobalSecondaryIndexAction::builder()
        .index_name(name)
        .set_key_schema(Some(keys))
        .projection(projection)
        .build()
        .map_err(Error::internal)?;
    request.global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(create).build()).send().await?;
    Ok(())
}

/// By document within a term: the newest are asked for first, or one alone.
fn keys_by_term() -> Result<Vec<KeySchemaElement>, Error> {
    Ok(vec![key(TERM, KeyType::Hash)?, key("pk", KeyType::Range)?])
}

fn keys_only() -> Projection {
    Projection::builder().projection_type(ProjectionType::KeysOnly).build()
}

fn keys_by_collection() -> Result<Vec<KeySchemaElement>, Error> {
    Ok(vec![key(COLLECTION_KEY, KeyType::Hash)?, key("sk", KeyType::Range)?])
}

fn catalogued() -> Projection {
    Projection::builder()
        .projection_type(ProjectionType::Include)
        .set_non_key_attributes(Some(CATALOGUED.map(str::to_owned).to_vec()))
        .build()
}

fn table(dynamodb: &DynamoDb, name: &str, attributes: &[&str]) -> Result<CreateTableFluentBuilder, Error> {
    let mut request = dynamodb
        .client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?);
    for attribute in attributes {
        request = request.attribute_definitions(string(attribute)?);
    }
    Ok(request)
}

/// The definition of an attribute that holds a string.
pub(crate) fn string(attribute: &str) -> Result<AttributeDefinition, Error> {
    AttributeDefinition::builder()
        .attribute_name(attribute)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .map_err(Error::internal)
}

fn key(attribute: &str, kind: KeyType) -> Result<KeySchemaElement, Error> {
    KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build().map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> TenantId {
        "acme".parse().unwrap()
    }

    fn read(key: &Key) -> Option<Stored> {
        Stored::from_key(&key.pk, &key.sk).unwrap()
    }

    #[test]
    fn the_keys_of_a_tenants_own_items_are_read_back() {
        let (collection, document) = (CollectionId::default_collection(), DocumentId::new());
        let (user, key): (UserId, _) = ("ada".parse().unwrap(), KeyId::new());
        for (key, kind) in [
            (Key::document(&tenant(), document), Kind::Document(document)),
            (Key::collection(&tenant(), &collection), Kind::Collection(collection.clone())),
            (Key::user(&tenant(), &user), Kind::User(user.clone())),
            (Key::api_key(&tenant(), key), Kind::ApiKey(key)),
            (Key::tenant(&tenant()), Kind::Tenant),
        ] {
            assert_eq!(read(&key), Some(Stored { tenant: tenant(), kind }), "{key:?}");
        }
    }

    #[test]
    fn other_items_are_none_of_the_kinds() {
        let (user, conversation) = ("ada".parse().unwrap(), ConversationId::new());
        let collection = CollectionId::default_collection();
        for key in [
            Key::health(),
            Key::owners(&tenant()),
            Key::usage(&tenant(), "2026-11"),
            Key::budget(&tenant(), "2026-11-26"),
            Key::message(&tenant(), conversation, MessageId::new()),
            Key::counted(&tenant(), "00"),
            Key::audit(&tenant(), AuditId::new()),
            Key::api_key_owner("00"),
            Key::content_hash(&tenant(), &collection, "00"),
            Key::removal(&tenant(), DocumentId::new()),
            Key::idempotency(&tenant(), "00"),
            Key::webhook(&tenant(), &"crm".parse().unwrap()),
            Key::delivery(&tenant(), RegistrationId::new(), EventId::new()),
            Key::conversation(&tenant(), Subject::User(&user), conversation),
            Key::conversation(&tenant(), Subject::Key(KeyId::new()), conversation),
            Key::chunk(&tenant(), DocumentId::new(), 1, 0),
            Key { pk: partition(&tenant()), sk: "TENANTS".to_owned() },
            Key { pk: "T#acme#DOC#x".to_owned(), sk: "DOC#x".to_owned() },
            Key { pk: "KEY#acme".to_owned(), sk: "DOC#x".to_owned() },
        ] {
            assert_eq!(read(&key), None, "{key:?}");
        }
    }

    #[test]
    fn a_key_of_an_impossible_tenant_is_an_error() {
        for pk in ["T#", "T#a b", "T#{acme}"] {
            assert!(Stored::from_key(pk, "DOC#01J9ZQ3W6V8Y0ABCDEFGHJKMNP").is_err(), "{pk}");
        }
    }
}
