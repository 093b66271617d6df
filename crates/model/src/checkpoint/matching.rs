//! From the tensors that a Hugging Face checkpoint holds to those that the architecture needs.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{Config, Quantization, ScaleConvention};
use super::stored::{Stored, Weights};
use super::tensor::{MasterRule, RowCoding, RowOrder, Rows, SourceTensor, TensorData};
use super::{Overrides, config::CONFIG_FILE};
use crate::Error;
use crate::architecture::{Role, TensorSpec};
use crate::error::{shown, shown_shape};

/// The tensors in the order of the architecture, and how their multipliers come about.
pub(super) struct Matched {
    pub(super) tensors: Vec<SourceTensor>,
    pub(super) convention: &'static str,
    pub(super) masters: MasterRule,
    /// Whether the matrices are packed codes.
    pub(super) is_packed: bool,
}

/// Finds the checkpoint's tensor for each tensor of the architecture, and refuses leftovers that would change the answer.
pub(super) fn match_tensors(
    config: &Config,
    weights: &Weights,
    overrides: &Overrides,
) -> Result<Matched, Error> {
    let stored = &weights.tensors;
    let form = Form::of(config, stored, overrides)?;
    let mut unused: BTreeSet<&str> = stored.keys().map(String::as_str).collect();
    let mut tensors = Vec::new();
    for spec in config.architecture.tensors() {
        let names = source_names(&spec.name);
        let name = names.iter().find(|name| stored.contains_key(*name));
        let Some(name) = name else {
            return Err(Error::TensorMissing {
                tensor: names[0].clone(),
                shape: shown_shape(&form.stored_shape(&spec)),
            });
        };
        unused.remove(name.as_str());
        let data = match (spec.role, form) {
            (Role::Projection, Form::Packed(convention)) => {
                unused.remove(scale_name(name).as_str());
                packed_data(convention, stored, &spec, name)?
            }
            _ => rows_data(&spec, name, &stored[name])?,
        };
        tensors.push(SourceTensor {
            name: spec.name,
            source_name: name.clone(),
            shape: spec.shape,
            data,
            order: RowOrder::Plain,
        });
    }
    // A tied model may carry its head a second time; old files carry the rotary frequencies.
    let is_harmless = |name: &str| {
        (name == "lm_head.weight" && config.architecture.tied)
            || name.ends_with(".rotary_emb.inv_freq")
    };
    if let Some(name) = unused.into_iter().find(|name| !is_harmless(name)) {
        return Err(Error::TensorUnexpected {
            tensor: shown(name),
            family: config.architecture.family.clone(),
        });
    }
    Ok(Matched {
        tensors,
        convention: form.convention(),
        masters: form.masters(),
        is_packed: matches!(form, Form::Packed(_)),
    })
}

/// What the matrices of a checkpoint are.
#[derive(Debug, Clone, Copy)]
enum Form {
    Packed(ScaleConvention),
    Floats(MasterRule),
}

impl Form {
    /// Packed if one of the matrices is, so that a float among them is found by name.
    fn of(
        config: &Config,
        stored: &BTreeMap<String, Stored>,
        overrides: &Overrides,
    ) -> Result<Form, Error> {
        let specs = config.architecture.tensors();
        let projections = specs.iter().filter(|spec| spec.role == Role::Projection);
        let mut found = projections
            .flat_map(|spec| source_names(&spec.name))
            .filter_map(|name| stored.get(&name))
            .peekable();
        let is_packed = match found.peek() {
            Some(_) => found.any(|tensor| tensor.dtype.is_byte()),
            None => matches!(config.quantization, Quantization::Bitnet(_)),
        };
        match (is_packed, config.quantization) {
            (true, stated) => {
                let convention = overrides.scale.or(match stated {
                    Quantization::Bitnet(convention) => Some(convention),
                    Quantization::Online | Quantization::NotStated => None,
                });
                convention.map(Form::Packed).ok_or(Error::NotStated {
                    file: CONFIG_FILE.to_string(),
                    what: "whether weight_scale multiplies or divides (quantization_config.linear_class of packed weights)",
                    option: "--scale multiply or --scale divide",
                })
            }
            (false, Quantization::NotStated) if config.architecture.family == "llama" => {
                overrides.masters.map(Form::Floats).ok_or(Error::NotStated {
                    file: CONFIG_FILE.to_string(),
                    what: "that the model is ternary (no quantization_config): it may be an ordinary one, which rounding would ruin",
                    option: "--weights ternary if its matrices are ternary already, --weights masters if they are to be rounded by their mean magnitude",
                })
            }
            (false, _) => Ok(Form::Floats(overrides.masters.unwrap_or(MasterRule::Detect))),
        }
    }

    fn convention(self) -> &'static str {
        match self {
            Form::Packed(convention) => convention.name(),
            Form::Floats(_) => "floats",
        }
    }

    fn masters(self) -> MasterRule {
        match self {
            Form::Packed(_) => MasterRule::Detect,
            Form::Floats(rule) => rule,
        }
    }

    /// Shape of a tensor in the checkpoint.
    fn stored_shape(self, spec: &TensorSpec) -> Vec<u64> {
        match (spec.role, self) {
            (Role::Projection, Form::Packed(_)) => packed_shape(spec),
            _ => plain_shape(spec),
        }
    }
}

fn packed_shape(spec: &TensorSpec) -> Vec<u64> {
    let [n_rows, n_cols] = spec.shape.map(u64::from);
    vec![n_rows.div_ceil(4), n_cols]
}

fn plain_shape(spec: &TensorSpec) -> Vec<u64> {
    let [n_rows, n_cols] = spec.shape.map(u64::from);
    match spec.role {
        Role::Projection | Role::Rows => vec![n_rows, n_cols],
        Role::Norm => vec![n_cols],
    }
}

/// Names in a checkpoint of a canonical tensor: that of transformers, and that of the 1bitLLM models where it is another.
fn source_names(canonical: &str) -> Vec<String> {
    let in_layer = |name: &str| -> &[&str] {
        match name {
            "attn_norm" => &["input_layernorm"],
            "q" => &["self_attn.q_proj"],
            "k" => &["self_attn.k_proj"],
            "v" => &["self_attn.v_proj"],
            "attn_sub_norm" => &["self_attn.attn_sub_norm", "self_attn.inner_attn_ln"],
            "o" => &["self_attn.o_proj"],
            "ffn_norm" => &["post_attention_layernorm"],
            "gate" => &["mlp.gate_proj"],
            "up" => &["mlp.up_proj"],
            "ffn_sub_norm" => &["mlp.ffn_sub_norm", "mlp.ffn_layernorm"],
            "down" => &["mlp.down_proj"],
            other => unreachable!("architecture has no tensor {other}"),
        }
    };
    match canonical {
        "embed" => vec!["model.embed_tokens.weight".to_string()],
        "final_norm" => vec!["model.norm.weight".to_string()],
        "lm_head" => vec!["lm_head.weight".to_string()],
        layer => {
            let parts = layer
                .strip_prefix("layers.")
                .and_then(|rest| rest.split_once('.'));
            let Some((number, name)) = parts else {
                unreachable!("architecture has no tensor {layer}")
            };
            let full = |name: &&str| format!("model.layers.{number}.{name}.weight");
            in_layer(name).iter().map(full).collect()
        }
    }
}

fn scale_name(name: &str) -> String {
    format!("{name}_scale")
}

fn check_shape(name: &str, expected: &[u64], stored: &Stored) -> Result<(), Error> {
    if stored.shape == expected {
        return Ok(());
    }
    Err(Error::TensorShape {
        tensor: name.to_string(),
        expected: shown_shape(expected),
        got: shown_shape(&stored.shape),
    })
}

fn rows_data(spec: &TensorSpec, name: &str, stored: &Stored) -> Result<TensorData, Error> {
    let float = stored.dtype.float(name)?;
    check_shape(name, &plain_shape(spec), stored)?;
    Ok(TensorData::Rows(Rows {
        range: stored.range.clone(),
        coding: RowCoding::Floats(float),
        strides: stored.strides,
    }))
}

fn packed_data(
    convention: ScaleConvention,
    all: &BTreeMap<String, Stored>,
    spec: &TensorSpec,
    name: &str,
) -> Result<TensorData, Error> {
    let stored = &all[name];
    if !stored.dtype.is_byte() || stored.strides.is_some() {
        return Err(Error::TensorDtype {
            tensor: name.to_string(),
            expected: "U8 (packed ternary codes, as the other matrices of this checkpoint)",
            got: stored.dtype.name().to_string(),
        });
    }
    check_shape(name, &packed_shape(spec), stored)?;
    let scale_name = scale_name(name);
    let scale = all.get(&scale_name).ok_or_else(|| Error::TensorMissing {
        tensor: scale_name.clone(),
        shape: "[1]".to_string(),
    })?;
    if scale.shape.iter().any(|&n| n != 1) || scale.shape.len() > 2 {
        return Err(Error::TensorShape {
            tensor: scale_name,
            expected: "[1]".to_string(),
            got: shown_shape(&scale.shape),
        });
    }
    Ok(TensorData::HuggingFacePacked {
        codes: stored.range.clone(),
        scale: scale.range.clone(),
        scale_dtype: scale.dtype.float(&scale_name)?,
        convention,
    })
}
