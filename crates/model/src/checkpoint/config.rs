//! `config.json` of a Hugging Face checkpoint.

use serde_json::{Map, Value};

use super::known::{Known, Stop};
use crate::error::shown;
use crate::{Activation, Architecture, Error};

/// Name of the file.
pub(crate) const CONFIG_FILE: &str = "config.json";
/// Longest configuration that is read.
const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// What a stored `weight_scale` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleConvention {
    /// It is the multiplier of the codes.
    Multiply,
    /// It is the inverse of the multiplier.
    Divide,
}

impl ScaleConvention {
    /// Name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            ScaleConvention::Multiply => "multiply",
            ScaleConvention::Divide => "divide",
        }
    }

    /// The multiplier for a stored scale.
    pub fn multiplier(self, weight_scale: f32) -> f32 {
        match self {
            ScaleConvention::Multiply => weight_scale,
            ScaleConvention::Divide => 1.0 / weight_scale,
        }
    }
}

/// A configuration, reduced to what a conversion needs.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) architecture: Architecture,
    pub(crate) convention: ScaleConvention,
    pub(crate) bos_id: Option<u32>,
    pub(crate) eos_ids: Vec<u32>,
}

/// Reads the configuration.
///
/// # Errors
/// If the file is missing, a key is missing or has a value that this version does not know how to compute.
pub(crate) fn read_config(known: &Known) -> Result<Config, Stop> {
    let json: Option<Value> = known.json(CONFIG_FILE, MAX_CONFIG_BYTES)?;
    let purpose = "the architecture of the checkpoint";
    let json = json.ok_or(Error::FileMissing {
        file: CONFIG_FILE.to_string(),
        purpose,
    })?;
    let root = Object::root(&json)?;
    let architecture = read_architecture(&root)?;
    Ok(Config {
        architecture,
        convention: read_convention(&root)?,
        bos_id: root.ids("bos_token_id")?.first().copied(),
        eos_ids: root.ids("eos_token_id")?,
    })
}

/// Token ids of `eos_token_id` and the like in another file: absent, null, a number or a list of numbers.
pub(crate) fn read_ids(file: &'static str, json: &Value, key: &str) -> Result<Vec<u32>, Error> {
    let json = json.as_object();
    json.map_or(Ok(Vec::new()), |map| {
        Object {
            file,
            path: String::new(),
            map,
        }
        .ids(key)
    })
}

/// An object of the file with typed access to its keys. `null` counts as absent, as it does for the library that wrote it.
struct Object<'a> {
    file: &'static str,
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    fn root(json: &'a Value) -> Result<Object<'a>, Error> {
        let map = json.as_object().ok_or_else(|| Error::KeyValue {
            file: CONFIG_FILE.to_string(),
            key: "the whole file".to_string(),
            expected: "an object".to_string(),
            got: shown(&json.to_string()),
        })?;
        Ok(Object {
            file: CONFIG_FILE,
            path: String::new(),
            map,
        })
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn object(&self, key: &str) -> Result<Option<Object<'a>>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let map = value
            .as_object()
            .ok_or_else(|| self.wrong(key, "an object", value))?;
        Ok(Some(Object {
            file: self.file,
            path: format!("{}{key}.", self.path),
            map,
        }))
    }

    fn missing(&self, key: &str) -> Error {
        Error::KeyMissing {
            file: self.file.to_string(),
            key: format!("{}{key}", self.path),
        }
    }

    fn wrong(&self, key: &str, expected: &str, got: &Value) -> Error {
        Error::KeyValue {
            file: self.file.to_string(),
            key: format!("{}{key}", self.path),
            expected: expected.to_string(),
            got: shown(&got.to_string()),
        }
    }

    fn optional_u32(&self, key: &str) -> Result<Option<u32>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number
            .map(Some)
            .ok_or_else(|| self.wrong(key, "a whole number below 2^32", value))
    }

    fn u32(&self, key: &str) -> Result<u32, Error> {
        self.optional_u32(key)?.ok_or_else(|| self.missing(key))
    }

    fn optional_f64(&self, key: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        value
            .as_f64()
            .map(Some)
            .ok_or_else(|| self.wrong(key, "a number", value))
    }

    fn optional_str(&self, key: &str) -> Result<Option<&'a str>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| self.wrong(key, "a string", value))
    }

    fn bool(&self, key: &str) -> Result<bool, Error> {
        let Some(value) = self.get(key) else {
            return Ok(false);
        };
        value
            .as_bool()
            .ok_or_else(|| self.wrong(key, "true or false", value))
    }

    fn ids(&self, key: &str) -> Result<Vec<u32>, Error> {
        let expected = "a token id or a list of token ids";
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids = match value {
            Value::Array(values) => values.iter().map(id).collect(),
            value => id(value).map(|id| vec![id]),
        };
        ids.ok_or_else(|| self.wrong(key, expected, value))
    }

    /// Refuses a feature that would change the computation in a way this version does not know.
    fn must_be_off(&self, key: &str) -> Result<(), Error> {
        if self.bool(key)? {
            Err(self.wrong(key, "false", &Value::Bool(true)))
        } else {
            Ok(())
        }
    }
}

fn read_architecture(root: &Object<'_>) -> Result<Architecture, Error> {
    let (family, sub_norms) = match architecture_name(root)?.as_str() {
        "BitNetForCausalLM" => ("bitnet", true),
        "LlamaForCausalLM" => ("llama", false),
        other => {
            return Err(Error::Unsupported {
                found: format!("architecture {}", shown(other)),
                supported: "BitNetForCausalLM, LlamaForCausalLM",
            });
        }
    };
    for key in ["attention_bias", "mlp_bias"] {
        root.must_be_off(key)?;
    }
    let activation = match root
        .optional_str("hidden_act")?
        .ok_or_else(|| root.missing("hidden_act"))?
    {
        "relu2" => Activation::Relu2,
        "silu" | "swish" => Activation::Silu,
        other => return Err(root.wrong("hidden_act", "relu2 or silu", &other.into())),
    };
    let heads = root.u32("num_attention_heads")?;
    let hidden = root.u32("hidden_size")?;
    let kv_heads = match root.optional_u32("num_key_value_heads")? {
        Some(kv_heads) => kv_heads,
        // Llama checkpoints from before grouped queries leave the key out; BitNet's default differs, so it must be stated.
        None if family == "llama" => heads,
        None => return Err(root.missing("num_key_value_heads")),
    };
    let head_dim = match root.optional_u32("head_dim")? {
        Some(head_dim) => head_dim,
        None if heads > 0 && hidden.is_multiple_of(heads) => hidden / heads,
        None => {
            let expected =
                format!("a multiple of num_attention_heads ({heads}), as there is no head_dim");
            return Err(root.wrong("hidden_size", &expected, &hidden.into()));
        }
    };
    let rms_eps = root
        .optional_f64("rms_norm_eps")?
        .ok_or_else(|| root.missing("rms_norm_eps"))?;
    let architecture = Architecture {
        family: family.to_string(),
        hidden,
        ffn: root.u32("intermediate_size")?,
        layers: root.u32("num_hidden_layers")?,
        heads,
        kv_heads,
        head_dim,
        vocab: root.u32("vocab_size")?,
        context: root.u32("max_position_embeddings")?,
        rms_eps: rms_eps as f32,
        rope_theta: read_rope_theta(root)?,
        activation,
        sub_norms,
        tied: root.bool("tie_word_embeddings")?,
    };
    // The same limits as for a manifest, but the file at fault is the configuration.
    architecture.validate("").map_err(|error| match error {
        Error::Manifest {
            field,
            expected,
            got,
        } => Error::KeyValue {
            file: CONFIG_FILE.to_string(),
            key: format!("architecture ({field})"),
            expected,
            got,
        },
        other => other,
    })?;
    Ok(architecture)
}

/// The class name in `architectures`; files without it are told apart by `model_type`.
fn architecture_name(root: &Object<'_>) -> Result<String, Error> {
    if let Some(value) = root.get("architectures") {
        let names = value
            .as_array()
            .and_then(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        return match names.as_deref() {
            Some([name]) => Ok((*name).to_string()),
            _ => Err(root.wrong("architectures", "a list of one name", value)),
        };
    }
    match root.optional_str("model_type")? {
        Some("bitnet") => Ok("BitNetForCausalLM".to_string()),
        Some("llama") => Ok("LlamaForCausalLM".to_string()),
        Some(other) => Ok(other.to_string()),
        None => Err(root.missing("architectures")),
    }
}

/// The base of the rotary frequencies: `rope_parameters.rope_theta` in newer files, `rope_theta` in older ones. Any scaling
/// of the frequencies is refused.
fn read_rope_theta(root: &Object<'_>) -> Result<f64, Error> {
    let parameters = root.object("rope_parameters")?;
    let scaling = root.object("rope_scaling")?;
    for object in parameters.iter().chain(&scaling) {
        for key in ["rope_type", "type"] {
            match object.optional_str(key)? {
                None | Some("default") => {}
                Some(other) => return Err(object.wrong(key, "default", &other.into())),
            }
        }
    }
    for object in parameters.iter().chain([root]) {
        if let Some(factor) = object
            .optional_f64("partial_rotary_factor")?
            .filter(|&factor| factor != 1.0)
        {
            return Err(object.wrong("partial_rotary_factor", "1", &factor.into()));
        }
    }
    let from_parameters = parameters
        .map(|object| object.optional_f64("rope_theta"))
        .transpose()?
        .flatten();
    from_parameters
        .map_or_else(|| root.optional_f64("rope_theta"), |theta| Ok(Some(theta)))?
        .ok_or_else(|| root.missing("rope_theta"))
}

/// How the stored scales are meant. A wrong guess inverts every multiplier, so everything unknown is refused.
fn read_convention(root: &Object<'_>) -> Result<ScaleConvention, Error> {
    let quantization = root
        .object("quantization_config")?
        .ok_or_else(|| root.missing("quantization_config"))?;
    match quantization.optional_str("quant_method")? {
        Some("bitnet") => {}
        Some(other) => return Err(quantization.wrong("quant_method", "bitnet", &other.into())),
        None => return Err(quantization.missing("quant_method")),
    }
    // A norm inside each projection.
    quantization.must_be_off("use_rms_norm")?;
    match quantization.optional_str("quantization_mode")? {
        None | Some("offline") => {}
        Some("online") => {
            return Err(Error::Unsupported {
                found: "a checkpoint of float master weights (quantization_mode online)"
                    .to_string(),
                supported: "packed uint8 weights (quantization_mode offline)",
            });
        }
        Some(other) => {
            return Err(quantization.wrong("quantization_mode", "offline", &other.into()));
        }
    }
    match quantization.optional_str("linear_class")? {
        Some("autobitlinear") => Ok(ScaleConvention::Multiply),
        // The first revision of the 2B-4T checkpoint has only this key.
        None if quantization.bool("offline_quantization")? => Ok(ScaleConvention::Multiply),
        None | Some("bitlinear") => Ok(ScaleConvention::Divide),
        Some(other) => {
            Err(quantization.wrong("linear_class", "autobitlinear or bitlinear", &other.into()))
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
