#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;

/// The configuration of the 2B-4T checkpoint, as its first revisions wrote it.
fn bitnet() -> Value {
    json!({
        "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "hidden_act": "relu2", "hidden_size": 2560,
        "intermediate_size": 6912, "max_position_embeddings": 4096, "num_attention_heads": 20, "num_hidden_layers": 30,
        "num_key_value_heads": 5, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": true,
        "vocab_size": 128256, "bos_token_id": 128000, "eos_token_id": 128001,
        "quantization_config": {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"},
    })
}

fn read(config: &Value) -> Result<Config, String> {
    let mut known = Known::default();
    let bytes = serde_json::to_vec(config).unwrap();
    known.supply_length(CONFIG_FILE, Some(bytes.len() as u64));
    let range = crate::source::ByteRange {
        file: CONFIG_FILE.to_string(),
        offset: 0,
        bytes: bytes.len() as u64,
    };
    known.supply_bytes(&range, bytes);
    read_config(&known).map_err(|stop| match stop {
        Stop::Error(error) => error.to_string(),
        Stop::Need(need) => panic!("everything was supplied, yet {need:?} is needed"),
    })
}

/// Reads the 2B-4T configuration with keys replaced; `null` removes a key.
fn read_with(changes: Value) -> Result<Config, String> {
    let mut config = bitnet();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    read(&config)
}

#[test]
fn the_2b_4t_configuration_is_understood() {
    let config = read(&bitnet()).unwrap();
    let a = &config.architecture;
    assert_eq!(
        [a.hidden, a.ffn, a.layers, a.heads, a.kv_heads, a.head_dim],
        [2560, 6912, 30, 20, 5, 128]
    );
    assert_eq!(
        (a.vocab, a.context, a.rms_eps, a.rope_theta),
        (128_256, 4096, 1e-5, 5e5)
    );
    assert_eq!(
        (a.activation, a.sub_norms, a.tied),
        (Activation::Relu2, true, true)
    );
    assert_eq!(
        (config.bos_id, config.eos_ids),
        (Some(128_000), vec![128_001])
    );
}

#[test]
fn both_places_of_rope_theta_are_read() {
    let newer = json!({"rope_theta": null, "rope_parameters": {"rope_type": "default", "rope_theta": 12345.0}});
    assert_eq!(read_with(newer).unwrap().architecture.rope_theta, 12345.0);
    let neither = read_with(json!({"rope_theta": null})).unwrap_err();
    assert!(
        neither.contains("config.json: key rope_theta is missing"),
        "{neither}"
    );
    for (changes, expected) in [
        (
            json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}),
            "rope_scaling.rope_type must be default, got \"llama3\"",
        ),
        (
            json!({"rope_scaling": {"type": "linear"}}),
            "rope_scaling.type must be default",
        ),
        (
            json!({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}),
            "rope_parameters.rope_type must be default",
        ),
        (
            json!({"partial_rotary_factor": 0.5}),
            "partial_rotary_factor must be 1, got 0.5",
        ),
    ] {
        let error = read_with(changes).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn conventions_follow_the_quantisation_config() {
    let convention = |config: Value| {
        read_with(json!({"quantization_config": config})).map(|config| config.quantization)
    };
    let multiply = Ok(Quantization::Bitnet(ScaleConvention::Multiply));
    assert_eq!(
        convention(json!({"quant_method": "bitnet", "linear_class": "autobitlinear"})),
        multiply
    );
    assert_eq!(
        convention(json!({"quant_method": "bitnet", "offline_quantization": true})),
        multiply
    );
    let divide = Ok(Quantization::Bitnet(ScaleConvention::Divide));
    assert_eq!(convention(json!({"quant_method": "bitnet"})), divide);
    assert_eq!(
        convention(json!({"quant_method": "bitnet", "linear_class": "bitlinear"})),
        divide
    );
    let online = json!({"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"});
    assert_eq!(convention(online), Ok(Quantization::Online));
    assert_eq!(convention(json!(null)), Ok(Quantization::NotStated));
    for (config, expected) in [
        (json!({}), "key quantization_config.quant_method is missing"),
        (
            json!({"quant_method": "gptq"}),
            "quant_method must be bitnet, got \"gptq\"",
        ),
        (
            json!({"quant_method": "bitnet", "linear_class": "other"}),
            "linear_class must be autobitlinear or bitlinear",
        ),
        (
            json!({"quant_method": "bitnet", "quantization_mode": "sometimes"}),
            "quantization_mode must be offline or online",
        ),
        (
            json!({"quant_method": "bitnet", "use_rms_norm": true}),
            "use_rms_norm must be false",
        ),
    ] {
        let error = convention(config).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(ScaleConvention::Multiply.multiplier(2.0), 2.0);
    assert_eq!(ScaleConvention::Divide.multiplier(2.0), 0.5);
}

#[test]
fn keys_in_which_models_differ_must_be_stated() {
    for key in [
        "hidden_act",
        "hidden_size",
        "intermediate_size",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_layers",
        "num_key_value_heads",
        "rms_norm_eps",
        "rope_theta",
        "vocab_size",
    ] {
        let error = read_with(json!({key: null})).unwrap_err();
        assert!(error.contains(&format!("key {key} is missing")), "{error}");
    }
}

#[test]
fn what_cannot_be_computed_is_refused() {
    for (changes, expected) in [
        (
            json!({"architectures": ["MambaForCausalLM"]}),
            "architecture MambaForCausalLM cannot be read",
        ),
        (
            json!({"architectures": null, "model_type": "qwen3"}),
            "architecture qwen3 cannot be read",
        ),
        (
            json!({"architectures": ["A", "B"]}),
            "architectures must be a list of one name",
        ),
        (
            json!({"hidden_act": "gelu"}),
            "hidden_act must be relu2 or silu, got \"gelu\"",
        ),
        (
            json!({"attention_bias": true}),
            "attention_bias must be false",
        ),
        (
            json!({"hidden_size": 2561}),
            "hidden_size must be a multiple of num_attention_heads (20)",
        ),
        (
            json!({"num_attention_heads": 0}),
            "hidden_size must be a multiple of num_attention_heads (0)",
        ),
        (
            json!({"head_dim": 0}),
            "architecture (head_dim) must be from 1 to 1024, got 0",
        ),
        (
            json!({"num_key_value_heads": 3}),
            "architecture (kv_heads) must be a divisor of heads (20), got 3",
        ),
        (
            json!({"num_hidden_layers": 4294967295u32}),
            "architecture (layers) must be from 1 to 1024",
        ),
        (
            json!({"vocab_size": 1e30}),
            "vocab_size must be a whole number below 2^32",
        ),
        (
            json!({"vocab_size": -1}),
            "vocab_size must be a whole number below 2^32, got -1",
        ),
        (
            json!({"rms_norm_eps": "1e-5"}),
            "rms_norm_eps must be a number, got \"1e-5\"",
        ),
        (
            json!({"rms_norm_eps": 0.0}),
            "architecture (rms_eps) must be between 0 and 1",
        ),
        (
            json!({"eos_token_id": "x"}),
            "eos_token_id must be a token id or a list of token ids",
        ),
    ] {
        let error = read_with(changes).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    assert!(
        read(&json!([1]))
            .unwrap_err()
            .contains("the whole file must be an object")
    );
}

#[test]
fn llama_style_defaults_are_those_of_old_files() {
    let llama = json!({"architectures": ["LlamaForCausalLM"], "num_key_value_heads": null, "hidden_act": "silu",
        "tie_word_embeddings": null, "head_dim": 64, "eos_token_id": [1, 2]});
    let config = read_with(llama).unwrap();
    let a = config.architecture;
    assert_eq!(
        (a.kv_heads, a.head_dim, a.tied, a.sub_norms),
        (20, 64, false, false)
    );
    assert_eq!(
        (a.activation, config.eos_ids),
        (Activation::Silu, vec![1, 2])
    );
}

/// The configuration of a 1bitLLM model says "llama" and is none.
#[test]
fn the_1bitllm_models_are_known_by_name_or_by_their_bits() {
    let paper = |changes: Value| {
        let mut config = json!({"model_type": "llama", "hidden_act": "silu", "quantization_config": null,
            "weight_bits": 1, "input_bits": 8});
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        read_with(config)
    };
    for architectures in [json!(["BitnetForCausalLM"]), json!(null)] {
        let config = paper(json!({"architectures": architectures})).unwrap();
        assert!(config.architecture.sub_norms);
        assert_eq!(config.architecture.activation, Activation::Silu);
        assert_eq!(config.quantization, Quantization::Online);
    }
    for (changes, expected) in [
        (json!({"weight_bits": 2}), "weight_bits must be 1, got 2"),
        (json!({"input_bits": 4}), "input_bits must be 8, got 4"),
        (
            json!({"input_bits": null}),
            "input_bits must be 8, got null",
        ),
    ] {
        let error = paper(changes).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
