//! Passages in order once more, by a model that reads the query and each passage together.

mod bedrock;
mod cohere;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use serde::Deserialize;

use crate::clients::ClientError;
use crate::config::{RerankConfig, RerankerKind};

/// Tells how well passages answer a query.
#[async_trait]
trait Model: Send + Sync {
    /// How relevant passages are, each by its place among them. In any order, and some may be left out.
    async fn relevances(&self, query: &str, passages: &[String]) -> Result<Relevances, RerankError>;
}

/// Why there is no order.
#[derive(Debug, thiserror::Error)]
pub enum RerankError {
    /// It took longer than a search waits.
    #[error("the reranker did not answer in time")]
    Late,
    /// It is away, overloaded, or refuses the request.
    #[error("the reranker does not answer: {0}")]
    Failed(String),
    /// Its answer makes no sense.
    #[error("the reranker's answer makes no sense: {0}")]
    Nonsense(String),
}

/// An answer as both providers give it.
#[derive(Debug, Deserialize)]
struct Relevances {
    #[serde(alias = "data")]
    results: Vec<Relevance>,
}

#[derive(Debug, Deserialize)]
struct Relevance {
    index: usize,
    relevance_score: f32,
}

/// The reranker of the deployment, with the time that a search has for it.
#[derive(Clone)]
pub struct Reranker {
    model: Arc<dyn Model>,
    /// How many of the best passages it looks at.
    pub passages: usize,
    budget: Duration,
}

impl Reranker {
    /// The reranker that the configuration names.
    pub fn from_config(config: &RerankConfig, aws: &SdkConfig) -> Result<Self, ClientError> {
        let model: Arc<dyn Model> = match &config.kind {
            RerankerKind::Bedrock => Arc::new(bedrock::Bedrock::new(config, aws)),
            RerankerKind::Cohere(url) => Arc::new(cohere::Cohere::new(config, url)?),
        };
        Ok(Self { model, passages: config.passages, budget: config.budget })
    }

    /// How relevant each passage is to the query, from 0 to 1, in their order; none for what the model leaves out.
    pub async fn relevances(&self, query: &str, passages: &[String]) -> Result<Vec<Option<f32>>, RerankError> {
        let answer = tokio::time::timeout(self.budget, self.model.relevances(query, passages)).await;
        placed(answer.map_err(|_| RerankError::Late)??, passages.len())
    }
}

/// The scores by the places of the passages. Some servers give the model's raw numbers instead of a score from 0 to 1, which
/// the logistic function makes such ones.
fn placed(answer: Relevances, number: usize) -> Result<Vec<Option<f32>>, RerankError> {
    let raw = answer.results.iter().any(|result| !(0.0..=1.0).contains(&result.relevance_score));
    let mut placed = vec![None; number];
    for Relevance { index, relevance_score: score } in answer.results {
        let place =
            placed.get_mut(index).ok_or_else(|| RerankError::Nonsense(format!("there is no passage {index}")))?;
        let score = if raw { 1.0 / (1.0 + (-score).exp()) } else { score };
        if place.replace(score).is_some() {
            return Err(RerankError::Nonsense(format!("passage {index} stands in it twice")));
        }
    }
    if placed.iter().all(Option::is_none) { Err(RerankError::Nonsense("it is empty".to_owned())) } else { Ok(placed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str, number: usize) -> Result<Vec<Option<f32>>, RerankError> {
        placed(serde_json::from_str(answer).unwrap(), number)
    }

    #[test]
    fn scores_are_placed_by_index() {
        let results =
            r#"[{"index": 2, "relevance_score": 0.9, "document": null}, {"index": 0, "relevance_score": 0.5}]"#;
        for name in ["results", "data"] {
            let answer = read(&format!(r#"{{"{name}": {results}}}"#), 3).unwrap();
            assert_eq!(answer, [Some(0.5), None, Some(0.9)]);
        }
    }

    #[test]
    fn raw_numbers_become_scores_in_the_same_order() {
        let answer = r#"{"results": [{"index": 0, "relevance_score": -3.0}, {"index": 1, "relevance_score": 7.5}]}"#;
        let [Some(low), Some(high)] = read(answer, 2).unwrap()[..] else { panic!() };
        assert!(0.0 < low && low < 0.5 && 0.5 < high && high < 1.0, "{low} {high}");
    }

    #[test]
    fn nonsense_is_refused() {
        for answer in [
            r#"{"results": []}"#,
            r#"{"results": [{"index": 1, "relevance_score": 0.5}]}"#,
            r#"{"results": [{"index": 0, "relevance_score": 0.5}, {"index": 0, "relevance_score": 0.4}]}"#,
        ] {
            assert!(matches!(read(answer, 1), Err(RerankError::Nonsense(_))), "{answer}");
        }
    }
}
