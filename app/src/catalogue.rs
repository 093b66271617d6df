//! Models that are known to work in kind: their addresses, and facts about them. Nothing of the models themselves is here.

use std::sync::LazyLock;

use protocol::{ByteCount, Settings};
use serde::Deserialize;

use crate::QueuedModel;

/// The list as it lies in the repository.
const LIST: &str = include_str!("../models.json");

/// The models of the list. A build whose list can't be read has none; a test sees to it that this one can.
static MODELS: LazyLock<Vec<KnownModel>> =
    LazyLock::new(|| serde_json::from_str(LIST).unwrap_or_default());

/// A model that is known.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownModel {
    /// Its name.
    pub name: String,
    /// Who published it.
    pub publisher: String,
    /// Its repository on the Hugging Face hub, `owner/name`.
    pub address: String,
    /// Its licence: an SPDX expression, or what the publisher calls it. Absent where nobody states one.
    pub license: Option<String>,
    /// Bytes of the download, worked out from its shape; absent where the format of its weights is not known here.
    pub download_bytes: Option<ByteCount>,
    /// GPU bytes of its weights with an 8-bit embedding, worked out from its shape.
    pub weight_bytes: ByteCount,
    /// GPU bytes of the key-value cache a token, in 16-bit floats.
    pub kv_bytes_per_token: ByteCount,
    /// Most tokens of context that it defines, when known here.
    pub context: Option<u32>,
    /// What it is, in two sentences or so.
    pub description: String,
    /// What is not certain, or worth knowing before the download.
    pub note: Option<String>,
    /// What the numbers were worked out from.
    #[serde(rename = "shape")]
    _shape: serde::de::IgnoredAny,
}

/// The models, in the order of the list.
#[must_use]
pub fn known_models() -> &'static [KnownModel] {
    &MODELS
}

impl KnownModel {
    /// Its address as offers and the store spell it.
    #[must_use]
    pub fn model_url(&self) -> String {
        format!("https://huggingface.co/{}/tree/main", self.address)
    }

    /// The length of the context for which its memory is told.
    #[must_use]
    pub fn usual_context(&self) -> u32 {
        let usual = Settings::USUAL_CONTEXT;
        self.context.map_or(usual, |context| context.min(usual))
    }

    /// GPU bytes of weights and key-value cache at the usual context. What a computation takes beside them is not counted.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let cache = self.kv_bytes_per_token.get() * u64::from(self.usual_context());
        self.weight_bytes.get() + cache
    }

    /// What the queue of downloads gets.
    #[must_use]
    pub fn to_queue(&self) -> QueuedModel {
        QueuedModel {
            model_url: self.model_url(),
            name: self.name.clone(),
            bytes: self.download_bytes,
            is_paused: false,
            n_begun: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{KnownModel, LIST, known_models};

    #[test]
    fn the_list_can_be_read_and_says_what_people_need() {
        let read: Result<Vec<KnownModel>, _> = serde_json::from_str(LIST);
        let models = read.map_err(|error| error.to_string());
        assert_eq!(models.as_deref(), Ok(known_models()));
        assert!(known_models().len() >= 8);
        let mut addresses = BTreeSet::new();
        for model in known_models() {
            let words: Vec<&str> = model.address.split('/').collect();
            assert!(
                matches!(words[..], [owner, name] if !owner.is_empty() && !name.is_empty()),
                "{}",
                model.address
            );
            assert!(addresses.insert(&model.address), "twice: {}", model.address);
            assert!(!model.name.is_empty() && !model.publisher.is_empty());
            let length = model.description.len();
            assert!((20..200).contains(&length), "{}: {length}", model.name);
            assert!(model.memory_bytes() > 100_000_000, "{}", model.name);
        }
    }
}
