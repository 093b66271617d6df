//! Which files of a repository make a model.

use super::listing::{Listed, Listing};
use crate::checkpoint::find::{PYTORCH_FILE, PYTORCH_INDEX, SAFETENSORS_FILE, SAFETENSORS_INDEX};
use crate::checkpoint::huggingface::{PYTORCH_SUFFIX, SAFETENSORS_SUFFIX};
use crate::checkpoint::text::{SMALL_FILES, TOKENIZER_FILE};
use crate::error::HubError;
use crate::manifest::MANIFEST_FILE;

/// What the weights of a choice are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChoiceKind {
    /// A package of this app, which needs no conversion.
    Package,
    /// Safetensors, one file or several with an index.
    Safetensors,
    /// PyTorch files, one or several with an index.
    Pytorch,
    /// One GGUF file.
    Gguf,
}

/// A model of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What it is.
    pub kind: ChoiceKind,
    /// The file of the weights, or their index: what a conversion is told.
    pub file: String,
    /// The files that are fetched, by name.
    pub files: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
}

/// The usual names of weights: one file, the index of several, and how they end.
const WEIGHTS: [(ChoiceKind, &str, &str, &str); 2] = [
    (
        ChoiceKind::Safetensors,
        SAFETENSORS_FILE,
        SAFETENSORS_INDEX,
        SAFETENSORS_SUFFIX,
    ),
    (
        ChoiceKind::Pytorch,
        PYTORCH_FILE,
        PYTORCH_INDEX,
        PYTORCH_SUFFIX,
    ),
];

/// How ternary GGUF files are usually called, those first that are smaller.
const TERNARY_NAMES: [&str; 3] = ["i2_s", "tq2_0", "tq1_0"];

impl Listing {
    /// The models of the repository, the one to offer first in front.
    ///
    /// # Errors
    /// If there is none.
    pub fn choices(&self) -> Result<Vec<Choice>, HubError> {
        let mut choices = Vec::new();
        if self.file(MANIFEST_FILE).is_some() && self.files.iter().any(|file| is_shard(&file.name))
        {
            let is_of_package = |file: &&Listed| {
                let name = file.name.as_str();
                name == MANIFEST_FILE || name == TOKENIZER_FILE || is_shard(name)
            };
            choices.push(self.choice(ChoiceKind::Package, MANIFEST_FILE, is_of_package));
            return Ok(choices);
        }
        for (kind, single, index, ending) in WEIGHTS {
            let Some(file) = [single, index]
                .into_iter()
                .find(|file| self.file(file).is_some())
            else {
                continue;
            };
            let shard_start = single.strip_suffix(ending).unwrap_or(single);
            let is_needed = |listed: &&Listed| {
                let name = listed.name.as_str();
                let is_shard = file == index
                    && (name.strip_prefix(shard_start)).is_some_and(|rest| {
                        rest.starts_with('-') && rest.contains("-of-") && rest.ends_with(ending)
                    });
                name == file || is_shard || SMALL_FILES.contains(&name)
            };
            // The same weights in the older format are no other model.
            if choices.is_empty() {
                choices.push(self.choice(kind, file, is_needed));
            }
        }
        let mut ggufs: Vec<&Listed> = (self.files.iter())
            .filter(|file| file.name.to_ascii_lowercase().ends_with(".gguf"))
            .collect();
        let split = ggufs.iter().find(|file| is_split(&file.name)).copied();
        ggufs.retain(|file| !is_split(&file.name));
        ggufs.sort_by_key(|file| (rank(&file.name), file.name.clone()));
        for gguf in ggufs {
            choices.push(self.choice(ChoiceKind::Gguf, &gguf.name, |file| file.name == gguf.name));
        }
        match split {
            _ if !choices.is_empty() => Ok(choices),
            Some(file) => Err(HubError::SplitGguf {
                file: file.name.clone(),
            }),
            None => Err(HubError::NoWeights),
        }
    }

    fn choice(&self, kind: ChoiceKind, file: &str, is_needed: impl Fn(&&Listed) -> bool) -> Choice {
        let needed: Vec<&Listed> = self.files.iter().filter(is_needed).collect();
        Choice {
            kind,
            file: file.to_string(),
            files: needed.iter().map(|file| file.name.clone()).collect(),
            // At most 10,000 files of at most 2^40 bytes.
            bytes: needed.iter().map(|file| file.bytes).sum(),
        }
    }
}

fn is_shard(name: &str) -> bool {
    name.starts_with("weights-") && name.ends_with(".bin")
}

/// `name-00001-of-00003.gguf`.
fn is_split(name: &str) -> bool {
    let stem = name
        .get(..name.len().saturating_sub(".gguf".len()))
        .unwrap_or(name);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    stem.rsplit_once("-of-")
        .is_some_and(|(start, n)| is_number(n) && start.rsplit('-').next().is_some_and(is_number))
}

/// Ternary files first.
fn rank(name: &str) -> usize {
    let name = name.to_ascii_lowercase();
    let at = TERNARY_NAMES.iter().position(|part| name.contains(part));
    at.unwrap_or(TERNARY_NAMES.len())
}
