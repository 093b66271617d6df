//! Shape and graph out of metadata.

use super::container::Entry;
use super::metadata::Metadata;
use crate::checkpoint::Overrides;
use crate::error::shown;
use crate::{Activation, Architecture, Error};

/// Vocabulary of the 2B-4T model, whose files have the names of two architectures.
const VOCAB_2B_4T: u32 = 128_256;

/// A model of a file.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    pub(super) architecture: Architecture,
    /// Whether it has the BitNet graph, with sub-norms.
    pub(super) is_bitnet: bool,
    /// Whether it is the 2B-4T model, whose official file has a wrong template and no name of its pre-tokenizer.
    pub(super) is_2b_4t: bool,
}

/// Reads shape and graph.
///
/// # Errors
/// If the architecture is not one that is computed, or a key is missing or has a value that cannot be.
pub(super) fn read(
    metadata: &Metadata<'_>,
    tensors: &[Entry],
    overrides: &Overrides,
    notes: &mut Vec<String>,
) -> Result<Graph, Error> {
    let name = metadata
        .text("general.architecture")?
        .ok_or_else(|| metadata.missing("general.architecture"))?;
    let is_bitnet = match name {
        "bitnet" | "bitnet-25" | "bitnet-b1.58" => true,
        "llama" => false,
        other => {
            return Err(Error::Unsupported {
                found: format!("architecture {}", shown(other)),
                supported: "bitnet, bitnet-25, bitnet-b1.58, llama",
            });
        }
    };
    let key = |rest: &str| format!("{name}.{rest}");
    refuse_features(metadata, tensors, &key)?;
    let has_tensor = |wanted: &str| tensors.iter().find(|entry| entry.name == wanted);
    let vocab = match (
        metadata.u32(&key("vocab_size"))?,
        has_tensor("token_embd.weight"),
    ) {
        (Some(vocab), _) => vocab,
        (None, Some(Entry { shape, .. })) => shape
            .first()
            .and_then(|&n| u32::try_from(n).ok())
            .unwrap_or(0),
        (None, None) => return Err(metadata.missing(&key("vocab_size"))),
    };
    let hidden = metadata.needed_u32(&key("embedding_length"))?;
    let heads = metadata.needed_u32(&key("attention.head_count"))?;
    let head_dim = read_head_dim(metadata, &key, hidden, heads)?;
    let is_2b_4t = is_bitnet && vocab == VOCAB_2B_4T;
    let architecture = Architecture {
        family: if is_bitnet { "bitnet" } else { "llama" }.to_string(),
        hidden,
        ffn: metadata.needed_u32(&key("feed_forward_length"))?,
        layers: metadata.needed_u32(&key("block_count"))?,
        heads,
        kv_heads: metadata
            .u32(&key("attention.head_count_kv"))?
            .unwrap_or(heads),
        head_dim,
        vocab,
        context: metadata.needed_u32(&key("context_length"))?,
        rms_eps: metadata.needed_f64(&key("attention.layer_norm_rms_epsilon"))? as f32,
        rope_theta: read_theta(metadata, &key, notes)?,
        activation: read_activation(metadata, name, vocab, overrides, notes)?,
        sub_norms: is_bitnet,
        // The BitNet graph always takes the embedding as head.
        tied: is_bitnet || has_tensor("output.weight").is_none(),
    };
    architecture
        .validate("")
        .map_err(|error| of_file(metadata, error))?;
    Ok(Graph {
        architecture,
        is_bitnet,
        is_2b_4t,
    })
}

/// The same limits as for a manifest, but the file at fault is this one.
fn of_file(metadata: &Metadata<'_>, error: Error) -> Error {
    match error {
        Error::Manifest {
            field,
            expected,
            got,
        } => metadata.wrong(&format!("architecture ({field})"), &expected, &got),
        other => other,
    }
}

/// Features that would change the computation in a way that this version does not know.
fn refuse_features(
    metadata: &Metadata<'_>,
    tensors: &[Entry],
    key: &dyn Fn(&str) -> String,
) -> Result<(), Error> {
    let scaling = key("rope.scaling.type");
    // The converter of BitNet models writes a linear scaling by 1, which changes nothing.
    let factor = metadata.f64(&key("rope.scaling.factor"))?;
    let changes_nothing =
        |scaling: &str| scaling == "none" || (scaling == "linear" && factor == Some(1.0));
    if let Some(other) = metadata
        .text(&scaling)?
        .filter(|scaling| !changes_nothing(scaling))
    {
        return Err(metadata.wrong(&scaling, "none, or linear by 1", &shown(other)));
    }
    let experts = key("expert_count");
    if let Some(n) = metadata.u32(&experts)?.filter(|&n| n > 0) {
        return Err(metadata.wrong(&experts, "0", &n.to_string()));
    }
    let parts = "split.count";
    if let Some(n) = metadata.u32(parts)?.filter(|&n| n > 1) {
        let expected = "1: join the parts of a split file first";
        return Err(metadata.wrong(parts, expected, &n.to_string()));
    }
    if tensors
        .iter()
        .any(|entry| entry.name == "rope_freqs.weight")
    {
        return Err(Error::Unsupported {
            found: "a model with rope_freqs.weight (rotary frequencies that are scaled one by one)"
                .to_string(),
            supported: "plain rotary frequencies",
        });
    }
    Ok(())
}

fn read_head_dim(
    metadata: &Metadata<'_>,
    key: &dyn Fn(&str) -> String,
    hidden: u32,
    heads: u32,
) -> Result<u32, Error> {
    let head_dim = match metadata.u32(&key("attention.key_length"))? {
        Some(head_dim) => head_dim,
        None if heads > 0 && hidden.is_multiple_of(heads) => hidden / heads,
        None => {
            let expected = format!("a multiple of attention.head_count ({heads})");
            return Err(metadata.wrong(&key("embedding_length"), &expected, &hidden.to_string()));
        }
    };
    for other in ["attention.value_length", "rope.dimension_count"] {
        if let Some(n) = metadata.u32(&key(other))?.filter(|&n| n != head_dim) {
            let expected = format!("the width of a head, {head_dim}");
            return Err(metadata.wrong(&key(other), &expected, &n.to_string()));
        }
    }
    Ok(head_dim)
}

fn read_theta(
    metadata: &Metadata<'_>,
    key: &dyn Fn(&str) -> String,
    notes: &mut Vec<String>,
) -> Result<f64, Error> {
    if let Some(theta) = metadata.f64(&key("rope.freq_base"))? {
        return Ok(theta);
    }
    notes.push(format!(
        "the file has no {}: 10000 is taken, as every program does",
        key("rope.freq_base")
    ));
    Ok(10_000.0)
}

/// The activation. Files of architecture `bitnet` hold models of both kinds, and most do not say which.
fn read_activation(
    metadata: &Metadata<'_>,
    name: &str,
    vocab: u32,
    overrides: &Overrides,
    notes: &mut Vec<String>,
) -> Result<Activation, Error> {
    if let Some(activation) = overrides.activation {
        return Ok(activation);
    }
    for rest in ["hidden_act", "hidden_activation"] {
        let key = format!("{name}.{rest}");
        match metadata.text(&key)? {
            None => {}
            Some("relu2" | "relu_sqr" | "squared_relu") => return Ok(Activation::Relu2),
            Some("silu" | "swish") => return Ok(Activation::Silu),
            Some(other) => return Err(metadata.wrong(&key, "relu2 or silu", &shown(other))),
        }
    }
    match name {
        "llama" => Ok(Activation::Silu),
        "bitnet-25" | "bitnet-b1.58" => Ok(Activation::Relu2),
        _ => {
            let is_2b_4t = vocab == VOCAB_2B_4T;
            let (activation, word) = if is_2b_4t {
                (Activation::Relu2, "squared ReLU")
            } else {
                (Activation::Silu, "SiLU")
            };
            notes.push(format!(
                "the file does not name its activation: {word} is taken for a vocabulary of {vocab} (say --activation if that is wrong)"
            ));
            Ok(activation)
        }
    }
}
