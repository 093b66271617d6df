//! Float matrices: master weights are rounded as the programs that trained them do, ternary ones keep their codes and multipliers.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{codes, convert_source, fnv1a64, folder_in_memory, tensor};
use fixtures::Golden;
use fixtures::safetensors::{File, Tensor};
use half::{bf16, f16};
use model::checkpoint::{MasterRule, Overrides};
use model::convert::ConvertOptions;
use model::source::MemorySource;
use model::{Activation, Encoding, Error, Manifest, Scale};

const WEIGHTS: &str = "model.safetensors";

fn options(masters: Option<MasterRule>) -> ConvertOptions {
    ConvertOptions {
        overrides: Overrides {
            masters,
            ..Overrides::default()
        },
        ..ConvertOptions::new("test")
    }
}

fn masters() -> MemorySource {
    folder_in_memory(&fixtures::path("g256/master"))
}

/// The masters with every tensor changed.
fn changed(change: impl Fn(&mut Tensor)) -> MemorySource {
    let mut source = masters();
    let mut file = File::parse(source.get(WEIGHTS).unwrap());
    file.tensors.iter_mut().for_each(change);
    source.insert(WEIGHTS, file.to_bytes());
    source
}

fn config(source: &mut MemorySource, change: impl Fn(&mut serde_json::Value)) {
    let mut config = serde_json::from_slice(source.get("config.json").unwrap()).unwrap();
    change(&mut config);
    source.insert("config.json", serde_json::to_vec(&config).unwrap());
}

fn multiplier(manifest: &Manifest, name: &str) -> f32 {
    match tensor(manifest, name).encoding {
        Encoding::Ternary {
            scale: Scale::Tensor { value },
        } => value,
        other => panic!("{name} is {other:?}"),
    }
}

fn is_matrix(tensor: &Tensor) -> bool {
    tensor.name.ends_with("_proj.weight")
}

/// Codes and multipliers of the first layer's q as the reference has them.
fn check_q(source: &MemorySource, options: &ConvertOptions, expected_multiplier: f32) {
    let (manifest, package) = convert_source(source, options).unwrap();
    let expected = &Golden::load("g256").weights["model.layers.0.self_attn.q_proj"];
    let codes = codes(&manifest, &package, tensor(&manifest, "layers.0.q"));
    assert_eq!(format!("{:016x}", fnv1a64(&codes)), expected.codes_fnv1a64);
    assert_eq!(multiplier(&manifest, "layers.0.q"), expected_multiplier);
}

fn gamma(class: &str) -> f32 {
    Golden::load("g256").weights["model.layers.0.self_attn.q_proj"].gamma[class]
}

#[test]
fn every_float_type_gives_the_same_codes() {
    // The values of this fixture are exact in f16, f32 and bf16.
    let as_f32 = changed(|tensor| tensor.store("F32", |value| value.to_le_bytes().to_vec()));
    let as_f16 = changed(|tensor| {
        tensor.store("F16", |value| f16::from_f32(value).to_le_bytes().to_vec());
    });
    for source in [masters(), as_f32, as_f16] {
        check_q(&source, &options(None), gamma("f32"));
        check_q(&source, &options(Some(MasterRule::AbsMean)), gamma("f32"));
        let error = convert_source(&source, &options(Some(MasterRule::Ternary)))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("q_proj") && error.contains("many magnitudes"),
            "{error}"
        );
    }
}

/// The masters' codes times a multiplier, as some programs write ternary models.
fn ternary(class: &'static str, dtype: &str, bytes: fn(f32) -> Vec<u8>) -> MemorySource {
    let golden = Golden::load("g256");
    changed(|tensor| {
        if is_matrix(tensor) {
            let weight = &golden.weights[tensor.name.strip_suffix(".weight").unwrap()];
            let inverse = 1.0 / weight.gamma["f32"];
            let multiplier = weight.gamma[class];
            tensor.store(dtype, |value| {
                bytes((value * inverse).round_ties_even().clamp(-1.0, 1.0) * multiplier)
            });
        }
    })
}

#[test]
fn matrices_that_are_ternary_already_keep_codes_and_multipliers() {
    let variants = [
        (
            "bf16",
            ternary("bf16", "BF16", |value| {
                bf16::from_f32(value).to_le_bytes().to_vec()
            }),
        ),
        (
            "f16",
            ternary("f16", "F16", |value| {
                f16::from_f32(value).to_le_bytes().to_vec()
            }),
        ),
        (
            "f32",
            ternary("f32", "F32", |value| value.to_le_bytes().to_vec()),
        ),
    ];
    for (class, source) in &variants {
        for masters in [None, Some(MasterRule::Ternary)] {
            check_q(source, &options(masters), gamma(class));
        }
        // Rounded a second time the codes survive, but the multiplier shrinks by the share of zeros.
        let (manifest, _) = convert_source(source, &options(Some(MasterRule::AbsMean))).unwrap();
        assert!(multiplier(&manifest, "layers.0.q") < 0.9 * gamma(class));
    }
}

#[test]
fn shards_equal_those_of_the_packed_checkpoint() {
    let (masters, files) = convert_source(&masters(), &options(None)).unwrap();
    let packed = folder_in_memory(&fixtures::path("g256/packed"));
    let (packed, packed_files) = convert_source(&packed, &options(None)).unwrap();
    assert_eq!(masters.shards, packed.shards);
    assert_eq!(masters.text, packed.text);
    for shard in &masters.shards {
        assert_eq!(files.get(&shard.file), packed_files.get(&shard.file));
    }
    assert_eq!(
        (
            masters.source.kind.as_str(),
            masters.source.scale_convention.as_str()
        ),
        ("huggingface-masters", "floats")
    );
}

/// Names and configuration of the 1bitLLM models around the same weights.
#[test]
fn the_1bitllm_names_are_read() {
    let mut source = changed(|tensor| {
        tensor.name = tensor
            .name
            .replace("self_attn.attn_sub_norm", "self_attn.inner_attn_ln")
            .replace("mlp.ffn_sub_norm", "mlp.ffn_layernorm");
    });
    config(&mut source, |config| {
        config["architectures"] = serde_json::json!(["BitnetForCausalLM"]);
        config["model_type"] = "llama".into();
        config["hidden_act"] = "silu".into();
        config["weight_bits"] = 1.into();
        config["input_bits"] = 8.into();
        config["quantization_config"] = serde_json::Value::Null;
    });
    check_q(&source, &options(None), gamma("f32"));
    let (manifest, _) = convert_source(&source, &options(None)).unwrap();
    let (plain, _) = convert_source(&masters(), &options(None)).unwrap();
    assert_eq!(manifest.shards, plain.shards);
    assert_eq!(manifest.architecture.activation, Activation::Silu);
}

#[test]
fn a_float_among_packed_matrices_is_named() {
    let mut source = folder_in_memory(&fixtures::path("g256/packed"));
    let mut file = File::parse(source.get(WEIGHTS).unwrap());
    const NAME: &str = "model.layers.1.mlp.up_proj.weight";
    let tensor = file.tensors.iter_mut().find(|t| t.name == NAME).unwrap();
    tensor.shape = vec![768, 256];
    tensor.dtype = "BF16".into();
    tensor.bytes = vec![0; 768 * 256 * 2];
    source.insert(WEIGHTS, file.to_bytes());
    let error = convert_source(&source, &options(None)).unwrap_err();
    assert!(
        matches!(&error, Error::TensorDtype { tensor, .. } if tensor == NAME),
        "{error}"
    );
}

#[test]
fn what_no_file_says_must_be_said() {
    let unsaid = |source: &mut MemorySource| {
        config(source, |config| {
            config["quantization_config"] = serde_json::Value::Null;
        });
    };
    // Packed codes without a word on their scales.
    let mut packed = folder_in_memory(&fixtures::path("g256/packed"));
    unsaid(&mut packed);
    let error = convert_source(&packed, &options(None)).unwrap_err();
    assert!(error.to_string().contains("--scale multiply"), "{error}");
    let mut said = options(None);
    said.overrides.scale = Some(model::checkpoint::ScaleConvention::Multiply);
    check_q(&packed, &said, gamma("bf16"));
    // A BitNet model of floats is known by its architecture, a Llama model is not.
    let mut bitnet = masters();
    unsaid(&mut bitnet);
    check_q(&bitnet, &options(None), gamma("f32"));
    let mut llama = masters();
    let mut file = File::parse(llama.get(WEIGHTS).unwrap());
    file.tensors.retain(|t| !t.name.contains("sub_norm"));
    llama.insert(WEIGHTS, file.to_bytes());
    unsaid(&mut llama);
    config(&mut llama, |config| {
        config["architectures"] = serde_json::json!(["LlamaForCausalLM"]);
        config["hidden_act"] = "silu".into();
    });
    let error = convert_source(&llama, &options(None)).unwrap_err();
    assert!(error.to_string().contains("--weights masters"), "{error}");
    check_q(&llama, &options(Some(MasterRule::AbsMean)), gamma("f32"));
}

#[test]
fn pytorch_files_in_shards_and_under_other_names_are_read() {
    const SINGLE: &str = "pytorch_model.bin";
    let single = folder_in_memory(&fixtures::path("malformed/base/hf-bin"));
    let expected = convert_source(&single, &options(None)).unwrap().0;
    assert_eq!(expected.source.kind, "pytorch-masters");
    let bytes = single.get(SINGLE).unwrap().to_vec();
    let names: Vec<String> = Golden::load("malformed/base")
        .weights
        .keys()
        .map(|name| format!("{name}.weight"))
        .chain(
            [
                "model.embed_tokens",
                "lm_head",
                "model.norm",
                "model.layers.0.input_layernorm",
                "model.layers.0.post_attention_layernorm",
                "model.layers.0.self_attn.attn_sub_norm",
                "model.layers.0.mlp.ffn_sub_norm",
            ]
            .map(|name| format!("{name}.weight")),
        )
        .collect();
    let sharded = |shard: &str| {
        let map: serde_json::Map<String, serde_json::Value> = names
            .iter()
            .map(|name| (name.clone(), shard.into()))
            .collect();
        let index = serde_json::json!({"metadata": {}, "weight_map": map});
        let mut source = single.clone();
        source.remove(SINGLE);
        source.insert(shard, bytes.clone());
        source.insert(
            "pytorch_model.bin.index.json",
            serde_json::to_vec(&index).unwrap(),
        );
        source
    };
    let source = sharded("pytorch_model-00001-of-00001.bin");
    let (got, _) = convert_source(&source, &options(None)).unwrap();
    assert_eq!(got.shards, expected.shards);
    let error = convert_source(&sharded("weights.pt"), &options(None)).unwrap_err();
    assert!(
        error.to_string().contains("weights.pt is refused"),
        "{error}"
    );

    let mut renamed = single.clone();
    renamed.remove(SINGLE);
    renamed.insert("consolidated.pth", bytes.clone());
    renamed.insert("training_args.bin", vec![1]);
    let (got, _) = convert_source(&renamed, &options(None)).unwrap();
    assert_eq!(got.shards, expected.shards);
    // A file that a person names counts, whatever else is there.
    renamed.insert("model.safetensors", vec![1]);
    let mut chosen = options(None);
    chosen.file = Some("consolidated.pth".to_string());
    let (got, _) = convert_source(&renamed, &chosen).unwrap();
    assert_eq!(got.shards, expected.shards);
}
