//! From the tensors of a file to those that the architecture needs.

use std::collections::{BTreeMap, BTreeSet};

use super::architecture::Graph;
use super::container::Entry;
use super::types::GgmlType;
use crate::Error;
use crate::architecture::{Role, TensorSpec};
use crate::checkpoint::Overrides;
use crate::checkpoint::tensor::{CodeBlocks, I2sBlock, RowOrder, Rows, SourceTensor, TensorData};
use crate::error::{shown, shown_shape};
use crate::source::ByteRange;

/// What a ternary matrix may be, for messages.
const TERNARY_TYPES: &str = "I2_S, TQ1_0, TQ2_0, or ternary weights in F32, F16, BF16, Q8_0, Q4_0";
/// What rows and norms may be.
const ROW_TYPES: &str = "F32, F16, BF16, Q8_0, Q6_K, Q4_0";

/// The tensors in the order of the architecture.
pub(super) struct Found {
    pub(super) tensors: Vec<SourceTensor>,
    /// Whether any matrix is stored as values, not as codes.
    pub(super) has_masters: bool,
}

/// Finds the file's tensor for each tensor of the architecture, and refuses leftovers that would change the answer.
pub(super) fn match_tensors(
    graph: &Graph,
    entries: &[Entry],
    file: &str,
    overrides: &Overrides,
    notes: &mut Vec<String>,
) -> Result<Found, Error> {
    let by_name: BTreeMap<&str, &Entry> = entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry))
        .collect();
    let mut unused: BTreeSet<&str> = by_name.keys().copied().collect();
    let matcher = Matcher {
        graph,
        file,
        i2s: overrides.i2s.unwrap_or(I2sBlock::Of128),
    };
    let mut found = Found {
        tensors: Vec::new(),
        has_masters: false,
    };
    let mut has_i2s = false;
    for spec in graph.architecture.tensors() {
        let name = file_name(&spec.name);
        let entry = by_name
            .get(name.as_str())
            .ok_or_else(|| Error::TensorMissing {
                tensor: name.clone(),
                shape: shown_shape(&stored_shape(&spec)),
            })?;
        unused.remove(name.as_str());
        let tensor = matcher.tensor(spec, entry)?;
        found.has_masters |=
            tensor.0 == Role::Projection && matches!(tensor.1.data, TensorData::Rows(_));
        has_i2s |= entry.kind == GgmlType::I2_S;
        found.tensors.push(tensor.1);
    }
    // The BitNet graph does not use a head of its own.
    unused.retain(|name| !(graph.is_bitnet && *name == "output.weight"));
    if let Some(name) = unused.into_iter().next() {
        return Err(Error::TensorUnexpected {
            tensor: shown(name),
            family: graph.architecture.family.clone(),
        });
    }
    if has_i2s && overrides.i2s.is_none() {
        notes.push(
            "I2_S blocks of 128 are taken; no file says it, and those made by ARM builds since November 2025 have 64 (if answers are nonsense, say --i2s 64)"
                .to_string(),
        );
    }
    Ok(found)
}

struct Matcher<'a> {
    graph: &'a Graph,
    file: &'a str,
    i2s: I2sBlock,
}

impl Matcher<'_> {
    fn tensor(&self, spec: TensorSpec, entry: &Entry) -> Result<(Role, SourceTensor), Error> {
        let expected = stored_shape(&spec);
        if entry.shape != expected {
            return Err(Error::TensorShape {
                tensor: entry.name.clone(),
                expected: shown_shape(&expected),
                got: shown_shape(&entry.shape),
            });
        }
        let tensor = SourceTensor {
            source_name: entry.name.clone(),
            shape: spec.shape,
            data: self.data(&spec, entry)?,
            order: self.order(&spec),
            name: spec.name,
        };
        Ok((spec.role, tensor))
    }

    /// Converters put the rows of q and k of Llama models into the order that their rotation of neighbours needs.
    fn order(&self, spec: &TensorSpec) -> RowOrder {
        let is_rotated = spec.name.ends_with(".q") || spec.name.ends_with(".k");
        if is_rotated && !self.graph.is_bitnet {
            RowOrder::RotaryPairs {
                head_dim: self.graph.architecture.head_dim,
            }
        } else {
            RowOrder::Plain
        }
    }

    fn data(&self, spec: &TensorSpec, entry: &Entry) -> Result<TensorData, Error> {
        let range = |offset, bytes| ByteRange {
            file: self.file.to_string(),
            offset: entry.offset + offset,
            bytes,
        };
        let is_matrix = spec.role == Role::Projection;
        let codes = |blocks, scale| {
            Ok(TensorData::Codes {
                codes: range(0, entry.bytes),
                blocks,
                scale,
            })
        };
        match entry.kind {
            GgmlType::I2_S if is_matrix => {
                let n = u64::from(spec.shape[0]) * u64::from(spec.shape[1]);
                let scale = Some(range(n / 4, 4));
                codes(CodeBlocks::I2s(self.i2s), scale)
            }
            GgmlType::TQ1_0 if is_matrix => codes(CodeBlocks::Tq1, None),
            GgmlType::TQ2_0 if is_matrix => codes(CodeBlocks::Tq2, None),
            kind => match kind.rows() {
                // Six bits hold no ternary value exactly.
                Some(coding) if !(is_matrix && kind == GgmlType::Q6_K) => {
                    Ok(TensorData::Rows(Rows {
                        range: range(0, entry.bytes),
                        coding,
                        strides: None,
                    }))
                }
                _ => Err(Error::Unsupported {
                    found: format!(
                        "tensor {} of type {} ({}){}",
                        shown(&entry.name),
                        kind.0,
                        kind.name(),
                        kind.reason()
                    ),
                    supported: if is_matrix { TERNARY_TYPES } else { ROW_TYPES },
                }),
            },
        }
    }
}

fn stored_shape(spec: &TensorSpec) -> Vec<u64> {
    let [n_rows, n_cols] = spec.shape.map(u64::from);
    match spec.role {
        Role::Projection | Role::Rows => vec![n_rows, n_cols],
        Role::Norm => vec![n_cols],
    }
}

/// Name in the file of a canonical tensor.
fn file_name(canonical: &str) -> String {
    let in_layer = |name: &str| match name {
        "attn_norm" => "attn_norm",
        "q" => "attn_q",
        "k" => "attn_k",
        "v" => "attn_v",
        "attn_sub_norm" => "attn_sub_norm",
        "o" => "attn_output",
        "ffn_norm" => "ffn_norm",
        "gate" => "ffn_gate",
        "up" => "ffn_up",
        "ffn_sub_norm" => "ffn_sub_norm",
        "down" => "ffn_down",
        other => unreachable!("architecture has no tensor {other}"),
    };
    match canonical {
        "embed" => "token_embd.weight".to_string(),
        "final_norm" => "output_norm.weight".to_string(),
        "lm_head" => "output.weight".to_string(),
        layer => match layer
            .strip_prefix("layers.")
            .and_then(|rest| rest.split_once('.'))
        {
            Some((number, name)) => format!("blk.{number}.{}.weight", in_layer(name)),
            None => unreachable!("architecture has no tensor {layer}"),
        },
    }
}
