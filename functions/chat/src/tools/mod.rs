//! What a model may call. None of it changes anything, and none of it reaches beyond what the caller may read and the question
//! is limited to.

mod arguments;
mod list_documents;
mod read_document;
mod scope;
mod search;
mod sources;
mod within;

use serde_json::Value;
use shared::documents::Documents;
use shared::door::Recall;
use shared::error::Error;
use shared::page::Pages;
use shared::retrieval::{Passage, Retriever};
use shared::telemetry;
use shared::texts::Texts;
use tracing::Instrument;

use crate::llm::Call;

pub(crate) use scope::Scope;
pub(crate) use sources::{MOST_SOURCES, Sources};
pub(crate) use within::Within;

/// A tool as models are told of it.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, for the model.
    pub(crate) description: &'static str,
    /// The JSON schema of its arguments.
    pub(crate) parameters: fn() -> Value,
}

/// All there are.
pub(crate) static TOOLS: [Tool; 3] = [search::TOOL, read_document::TOOL, list_documents::TOOL];

/// What the tools work with.
#[derive(Clone)]
pub(crate) struct Toolbox {
    pub(crate) retriever: Retriever,
    /// What was found before.
    pub(crate) recall: Recall,
    pub(crate) documents: Documents,
    pub(crate) texts: Texts,
    pub(crate) pages: Pages,
    /// Where they may look.
    pub(crate) scope: Scope,
    /// The longest text that one call may find, in tokens.
    pub(crate) result_tokens: usize,
}

/// What a call found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// Passages, to be numbered and cited.
    pub(crate) passages: Vec<Passage>,
    /// Text of documents that is no passage, such as their names.
    pub(crate) data: String,
    /// What is to be said beside it.
    pub(crate) note: String,
}

/// Why a call found nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The model asked for what cannot be; the sentence tells it how to do better.
    Wrong(String),
    /// Something is away.
    Away(Error),
}

impl Toolbox {
    /// Does what a model asks for.
    pub(crate) async fn call(&self, call: &Call) -> Result<Findings, Failure> {
        let known = TOOLS.iter().map(|tool| tool.name).find(|name| *name == call.name);
        let step = telemetry::execute_tool(known, &call.id);
        step.asked(&call.arguments);
        let found = self.carry_out(call).instrument(step.span().clone()).await;
        match &found {
            Ok(_) => {}
            Err(Failure::Wrong(_)) => step.failed("wrong"),
            Err(Failure::Away(_)) => step.failed("away"),
        }
        found
    }

    async fn carry_out(&self, call: &Call) -> Result<Findings, Failure> {
        match call.name.as_str() {
            search::NAME => self.search(arguments::parse(&call.arguments)?).await,
            read_document::NAME => self.read_document(arguments::parse(&call.arguments)?).await,
            list_documents::NAME => self.list_documents(arguments::parse(&call.arguments)?).await,
            _ => {
                let names = TOOLS.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ");
                Err(Failure::Wrong(format!("There is no such tool. There are: {names}.")))
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(errors) => {
                let sentences: Vec<_> =
                    errors.iter().map(|error| format!("{}: {}.", error.pointer, error.detail)).collect();
                Self::Wrong(sentences.join(" "))
            }
            Error::NotFound => Self::Wrong(NO_DOCUMENT.to_owned()),
            error => Self::Away(error),
        }
    }
}

/// What a model is told of a document that is not there, or not for the caller, or not for this question.
const NO_DOCUMENT: &str = "There is no such document. list_documents tells which there are.";
