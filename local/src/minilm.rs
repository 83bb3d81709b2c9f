use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use shared::embed::{EmbedError, Embedder, normalise};
use tokenizers::{PaddingParams, PaddingStrategy, Tokenizer, TruncationParams};

/// The longest input the model was trained on, in tokens (its `sentence_bert_config.json`).
const WINDOW: usize = 256;
/// The name of the model.
const MODEL: &str = "all-MiniLM-L6-v2";
/// The length of its vectors.
const DIMENSIONS: usize = 384;
/// Texts in one pass; more need more memory and are no faster.
const BATCH: usize = 8;

/// all-MiniLM-L6-v2: small, good at English, fair at other languages; runs on a laptop's processor.
#[derive(Clone)]
pub struct MiniLm(Arc<Inner>);

struct Inner {
    model: BertModel,
    /// Cuts at the window and pads to the longest text of a pass.
    tokenizer: Tokenizer,
    /// Does neither, for counting.
    counter: Tokenizer,
}

/// The model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error("the weights of all-MiniLM-L6-v2 in {folder} cannot be used: {reason}")]
pub struct ModelError {
    folder: String,
    reason: String,
}

/// The variables by which functions in other processes ask this one for its vectors.
pub(crate) fn variables(url: &str) -> Vec<(String, String)> {
    let variables = [
        ("EMBEDDER", "openai".to_owned()),
        ("OPENAI_BASE_URL", url.to_owned()),
        ("EMBEDDING_MODEL", MODEL.to_owned()),
        ("EMBEDDING_DIMENSIONS", DIMENSIONS.to_string()),
        ("EMBEDDING_TIMEOUT_MS", "60000".to_owned()),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}

impl MiniLm {
    /// Loads `config.json`, `tokenizer.json` and `model.safetensors` of a folder.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        load(folder)
            .map(|inner| Self(Arc::new(inner)))
            .map_err(|reason| ModelError { folder: folder.display().to_string(), reason: reason.to_string() })
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn load(folder: &Path) -> Result<Inner, AnyError> {
    let config: Config = serde_json::from_slice(&std::fs::read(folder.join("config.json"))?)?;
    let weights = std::fs::read(folder.join("model.safetensors"))?;
    let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
    let mut counter = Tokenizer::from_file(folder.join("tokenizer.json"))?;
    counter.with_truncation(None)?.with_padding(None);
    let mut tokenizer = counter.clone();
    tokenizer
        .with_truncation(Some(TruncationParams { max_length: WINDOW, ..TruncationParams::default() }))?
        .with_padding(Some(PaddingParams { strategy: PaddingStrategy::BatchLongest, ..PaddingParams::default() }));
    Ok(Inner { model: BertModel::load(weights, &config)?, tokenizer, counter })
}

impl Inner {
    /// Texts of like length share a pass, so that little of it is padding.
    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, AnyError> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|index| texts[*index].len());
        let mut vectors = vec![Vec::new(); texts.len()];
        for pass in order.chunks(BATCH) {
            let texts: Vec<&str> = pass.iter().map(|index| texts[*index].as_str()).collect();
            for (index, vector) in pass.iter().zip(self.pass(&texts)?) {
                vectors[*index] = vector;
            }
        }
        Ok(vectors)
    }

    /// The mean of the vectors of a text's tokens, scaled to unit length, as the model was trained.
    fn pass(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, AnyError> {
        let encodings = self.tokenizer.encode_batch_fast(texts.to_vec(), true)?;
        let rows = |values: fn(&tokenizers::Encoding) -> &[u32]| -> candle_core::Result<Tensor> {
            let rows = encodings.iter().map(|encoding| Tensor::new(values(encoding), &Device::Cpu));
            Tensor::stack(&rows.collect::<candle_core::Result<Vec<_>>>()?, 0)
        };
        let ids = rows(tokenizers::Encoding::get_ids)?;
        let mask = rows(tokenizers::Encoding::get_attention_mask)?;
        let tokens = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let mask = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
        let mean = tokens.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&mask.sum(1)?)?;
        let mut vectors = mean.to_vec2::<f32>()?;
        for vector in &mut vectors {
            normalise(vector);
        }
        Ok(vectors)
    }
}

#[async_trait]
impl Embedder for MiniLm {
    fn model(&self) -> &'static str {
        MODEL
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn window(&self) -> usize {
        WINDOW
    }

    fn tokens(&self, text: &str) -> usize {
        // A text that cannot be encoded counts as long, so that it is cut rather than lost.
        self.0.counter.encode_fast(text, false).map_or(text.len(), |encoding| encoding.len())
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let (inner, texts) = (Arc::clone(&self.0), texts.to_vec());
        tokio::task::spawn_blocking(move || inner.embed(&texts).map_err(|error| EmbedError::Refused(error.to_string())))
            .await
            .map_err(|error| EmbedError::Unavailable(error.to_string()))?
    }
}
