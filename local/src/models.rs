//! The embedding models of a data folder: which made its vectors, and which is making new ones.
//!
//! The folder remembers its model. Started with another one, the installation gives it the next edition and an index, and has
//! the documents re-embedded while searches go on with the model before. At the next start after that is done, the index of the
//! model before goes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::clients::{Builder, DynamoDb};
use shared::collections::Collections;
use shared::config::Variables;
use shared::documents::Documents;
use shared::editions::{self, Edition};
use shared::embed::{Embedder, Model, Models};
use shared::error::Error;
use shared::tables;
use shared::tasks::{Survey, Task};
use shared::tenants::Tenants;
use time::OffsetDateTime;

use crate::minilm::{self, MiniLm};
use crate::secret;
use crate::server::StartError;
use crate::settings::EmbedderChoice;

/// The variables that make a model, but for its key, which is a secret.
const NAMES: [&str; 5] =
    ["EMBEDDER", "EMBEDDING_DIMENSIONS", "EMBEDDING_MODEL", "EMBEDDING_WINDOW_TOKENS", "OPENAI_BASE_URL"];

/// What a folder knows of its models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// The one that is to have all documents.
    current: Remembered,
    /// The one that has them until then.
    previous: Option<Remembered>,
    /// The highest edition that ever was: none is used twice.
    highest: Edition,
}

/// A model, and how it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    edition: Edition,
    model: String,
    dimensions: usize,
    /// The folder with its weights, if it is MiniLM.
    minilm: Option<std::path::PathBuf>,
    /// Its variables otherwise.
    variables: BTreeMap<String, String>,
}

impl Remembered {
    fn of(choice: &EmbedderChoice, variables: &Variables, embedder: &dyn Embedder) -> Self {
        let minilm = match choice {
            EmbedderChoice::Minilm(folder) => Some(folder.clone()),
            EmbedderChoice::Configured => None,
        };
        let named =
            NAMES.iter().filter_map(|name| Some(((*name).to_owned(), variables.optional_text(name)?.to_owned())));
        let variables = if minilm.is_some() { BTreeMap::new() } else { named.collect() };
        let (model, dimensions) = (embedder.model().to_owned(), embedder.dimensions());
        Self { edition: Edition::FIRST, model, dimensions, minilm, variables }
    }

    /// Whether the vectors can be compared.
    fn is(&self, other: &Self) -> bool {
        (&self.model, self.dimensions) == (&other.model, other.dimensions)
    }

    fn choice(&self) -> EmbedderChoice {
        self.minilm.clone().map_or(EmbedderChoice::Configured, EmbedderChoice::Minilm)
    }
}

impl Memory {
    /// What is to be known from now on, with this model.
    fn with(self, configured: &Remembered) -> Self {
        let at = |edition| Remembered { edition, ..configured.clone() };
        if self.current.is(configured) {
            return Self { current: at(self.current.edition), ..self };
        }
        match self.previous {
            // Back to the model before, which has all documents still.
            Some(previous) if previous.is(configured) => Self { current: at(previous.edition), previous: None, ..self },
            // The one that was to follow never had all of them.
            previous => {
                let highest = self.highest.next();
                Self { current: at(highest), previous: Some(previous.unwrap_or(self.current)), highest }
            }
        }
    }

    /// The editions in use.
    fn has(&self, edition: Edition) -> bool {
        self.current.edition == edition || self.previous.as_ref().is_some_and(|previous| previous.edition == edition)
    }
}

/// The models of an installation, and its variables with those that name them.
pub(crate) async fn open(
    file: &Path,
    choice: &EmbedderChoice,
    variables: Variables,
    vectors_url: &str,
) -> Result<(Models, Variables), StartError> {
    let part = |error: Error| StartError::Part(error.to_string());
    let builder = Builder::new(variables.clone()).await?;
    let dynamodb = builder.dynamodb()?;
    let embedder = embedder(choice, &builder).await?;
    let configured = Remembered::of(choice, &variables, embedder.as_ref());
    let known = read(file)?;
    let is_new = known.is_none();
    let before = known.clone().unwrap_or_else(|| Memory {
        current: configured.clone(),
        previous: None,
        highest: Edition::FIRST,
    });

    tables::create(&dynamodb, before.current.edition, before.current.dimensions).await.map_err(part)?;
    let indexed = editions::indexed(&dynamodb).await.map_err(part)?;
    let before = match indexed.get(&Edition::FIRST) {
        // Of a release that did not remember; nobody knows by which model.
        Some(found) if is_new && *found != configured.dimensions => {
            let current = Remembered { model: "unknown".to_owned(), dimensions: *found, ..configured.clone() };
            Memory { current, ..before }
        }
        _ => before,
    };
    let mut memory = before.clone().with(&configured);
    if let Some(previous) = &memory.previous
        && caught_up(&dynamodb, memory.current.edition).await.map_err(part)?
        && memory.current.edition == before.current.edition
    {
        tracing::info!(
            model = previous.model,
            "all documents are re-embedded; the model before is not needed any more"
        );
        memory.previous = None;
    }
    for edition in indexed.keys().filter(|edition| !memory.has(**edition)) {
        editions::remove(&dynamodb, *edition).await.map_err(part)?;
    }
    let current = &memory.current;
    editions::add(&dynamodb, current.edition, current.dimensions).await.map_err(part)?;
    if current.edition > before.current.edition {
        tracing::info!(edition = %current.edition, model = current.model, "documents will be re-embedded");
        send_survey(&builder).await.map_err(part)?;
    }
    // Last: whatever did not come to this is done again at the next start.
    if known.as_ref() != Some(&memory) {
        write(file, &memory)?;
    }

    let current = Model { edition: memory.current.edition, embedder };
    let mut named = vec![("EMBEDDING_EDITION".to_owned(), current.edition.to_string())];
    named.push(("PREVIOUS_EMBEDDING_EDITION".to_owned(), "0".to_owned()));
    let mut previous = None;
    if let Some(remembered) = &memory.previous {
        match previous_model(remembered, &variables).await {
            Ok(model) => {
                named = vec![named[0].clone()];
                named.extend(remembered.named(vectors_url));
                previous = Some(model);
            }
            Err(error) => {
                let model = &remembered.model;
                tracing::warn!(model, %error, "the model before cannot be used: until documents are re-embedded they are not found");
            }
        }
    }
    Ok((Models { current, previous }, Variables::from_pairs(named).or(&variables)))
}

/// Has the work begin anew that `reindex` names.
async fn send_survey(builder: &Builder) -> Result<(), Error> {
    let queue = builder.queue("INGEST_QUEUE_URL").map_err(Error::internal)?;
    queue.send(Task::Reindex(Survey::default()).in_background(Duration::ZERO)?).await
}

/// Whether all documents of all tenants have vectors of an edition.
async fn caught_up(dynamodb: &DynamoDb, edition: Edition) -> Result<bool, Error> {
    let (tenants, collections, documents) =
        (Tenants::new(dynamodb), Collections::new(dynamodb), Documents::new(dynamodb));
    let mut after = None;
    loop {
        let (found, more) = tenants.with_documents(after).await?;
        for tenant in found {
            for collection in collections.overview(&tenant).await?.access.into_keys() {
                // Nobody is at work yet.
                let since = OffsetDateTime::UNIX_EPOCH;
                if !documents.behind(&tenant, &collection, edition, since, None, 1).await?.is_empty() {
                    return Ok(false);
                }
            }
        }
        after = more;
        if after.is_none() {
            return Ok(true);
        }
    }
}

fn read(file: &Path) -> io::Result<Option<Memory>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// All of it or nothing, whenever the process ends.
fn write(file: &Path, memory: &Memory) -> io::Result<()> {
    let draft = file.with_extension("part");
    secret::write(&draft, &serde_json::to_vec_pretty(memory)?)?;
    std::fs::rename(draft, file)
}

async fn previous_model(remembered: &Remembered, variables: &Variables) -> Result<Model, StartError> {
    let own = remembered.variables.iter().map(|(name, value)| (name.clone(), value.clone()));
    let key = ["PREVIOUS_OPENAI_API_KEY", "OPENAI_API_KEY"].iter().find_map(|name| variables.optional_text(name));
    let own = own.chain(key.map(|key| ("OPENAI_API_KEY".to_owned(), key.to_owned())));
    let builder = Builder::new(Variables::from_pairs(own)).await?;
    let embedder = embedder(&remembered.choice(), &builder).await?;
    if embedder.dimensions() != remembered.dimensions || embedder.model() != remembered.model {
        return Err(StartError::Part(format!("it is {} now", embedder.model())));
    }
    Ok(Model { edition: remembered.edition, embedder })
}

async fn embedder(choice: &EmbedderChoice, builder: &Builder) -> Result<Arc<dyn Embedder>, StartError> {
    match choice.clone() {
        EmbedderChoice::Minilm(folder) => {
            let model = tokio::task::spawn_blocking(move || MiniLm::load(&folder));
            Ok(Arc::new(model.await.map_err(|error| StartError::Part(error.to_string()))??))
        }
        EmbedderChoice::Configured => Ok(builder.models()?.current.embedder),
    }
}

impl Remembered {
    /// The variables that name it as the model before.
    fn named(&self, vectors_url: &str) -> Vec<(String, String)> {
        let mut named = match self.minilm {
            Some(_) => minilm::variables(vectors_url),
            None => self.variables.clone().into_iter().collect(),
        };
        named.push(("EMBEDDING_EDITION".to_owned(), self.edition.to_string()));
        named.into_iter().map(|(name, value)| (format!("PREVIOUS_{name}"), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, edition: u32) -> Remembered {
        Remembered {
            edition: Edition::new(edition).unwrap(),
            model: name.to_owned(),
            dimensions: 384,
            minilm: None,
            variables: BTreeMap::new(),
        }
    }

    /// The editions after a start with this model: of the current and of the previous model.
    fn after(memory: Memory, name: &str) -> (Memory, (u32, Option<u32>)) {
        let memory = memory.with(&model(name, 1));
        let previous = memory.previous.as_ref().map(|previous| previous.edition.number());
        let editions = (memory.current.edition.number(), previous);
        (memory, editions)
    }

    #[test]
    fn the_model_before_is_always_one_that_has_all_documents() {
        let memory = Memory { current: model("a", 1), previous: None, highest: Edition::FIRST };
        let (memory, editions) = after(memory, "a");
        assert_eq!(editions, (1, None));
        let (memory, editions) = after(memory, "b");
        assert_eq!(editions, (2, Some(1)));
        let (memory, editions) = after(memory, "b");
        assert_eq!(editions, (2, Some(1)), "still under way");
        let (memory, editions) = after(memory, "c");
        assert_eq!(editions, (3, Some(1)), "the second never had all");
        let (memory, editions) = after(memory, "a");
        assert_eq!(editions, (1, None), "back to where all is");
        let (_, editions) = after(memory, "b");
        assert_eq!(editions, (4, Some(1)), "no number stands for two models");
    }
}
