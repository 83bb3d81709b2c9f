use std::sync::Arc;

use super::Embedder;
use crate::editions::Edition;

/// An embedding model of the deployment, with the number by which its vectors are found.
#[derive(Clone)]
pub struct Model {
    /// Names its index and its attribute.
    pub edition: Edition,
    /// Makes its vectors.
    pub embedder: Arc<dyn Embedder>,
}

/// The embedding models of the deployment: one, or two while documents are re-embedded by another.
#[derive(Clone)]
pub struct Models {
    /// The one that is to have all documents.
    pub current: Model,
    /// The one before it. It has all documents, new ones too, until the current one has.
    pub previous: Option<Model>,
}

impl Models {
    /// Those that new passages are given vectors of.
    pub fn all(&self) -> impl Iterator<Item = &Model> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// The one that takes the shortest passages.
    pub fn narrowest(&self) -> &Model {
        self.all().min_by_key(|model| model.embedder.window()).unwrap_or(&self.current)
    }
}
