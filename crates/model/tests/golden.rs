//! Every packed fixture converts to the codes, multipliers, rows and text facts of its reference.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{codes, convert_to_memory, decode_tensor, fnv1a64, tensor};
use fixtures::{Golden, PACKED, VARIANTS};
use half::bf16;
use model::convert::{ConvertOptions, EmbedFormat};
use model::layout::{
    DecodedPiece, dequantize_f16_row, dequantize_q4_row, dequantize_q6_row, dequantize_q8_row,
};
use model::source::MemorySource;
use model::{Activation, Coding, Encoding, Manifest, Scale};

/// Canonical name of a ternary matrix of `golden.json`.
fn canonical(hf_name: &str) -> String {
    let rest = hf_name.strip_prefix("model.layers.").unwrap();
    let (layer, module) = rest.split_once('.').unwrap();
    let short = module
        .rsplit_once('.')
        .unwrap()
        .1
        .strip_suffix("_proj")
        .unwrap();
    format!("layers.{layer}.{short}")
}

fn options(coding: Coding, rows_per_tile: u32) -> ConvertOptions {
    ConvertOptions {
        coding,
        rows_per_tile,
        ..ConvertOptions::new("test")
    }
}

fn check_weights(golden: &Golden, class: &str, manifest: &Manifest, package: &MemorySource) {
    assert_eq!(golden.weights.len(), 7 * golden.arch.layers as usize);
    for (name, expected) in &golden.weights {
        let tensor = tensor(manifest, &canonical(name));
        assert_eq!(tensor.shape, expected.shape, "{name}");
        let codes = codes(manifest, package, tensor);
        assert_eq!(
            format!("{:016x}", fnv1a64(&codes)),
            expected.codes_fnv1a64,
            "{name}"
        );
        let counts = [0, 1, 2].map(|code| codes.iter().filter(|&&c| c == code).count() as u64);
        assert_eq!(counts, expected.count_minus_zero_plus, "{name}");
        let Encoding::Ternary {
            scale: Scale::Tensor { value },
        } = tensor.encoding
        else {
            panic!("{name} has no scale: {:?}", tensor.encoding)
        };
        assert_eq!(value, expected.gamma[class], "{name}");
    }
}

#[test]
fn codes_and_multipliers_equal_the_reference() {
    for (folder, variant) in VARIANTS {
        let golden = Golden::load(folder);
        let path = fixtures::path(folder).join(variant);
        for (coding, rows_per_tile) in [
            (Coding::B2, 16),
            (Coding::T5, 16),
            (Coding::B2, 1),
            (Coding::T5, 64),
        ] {
            let (manifest, package) =
                convert_to_memory(&path, &options(coding, rows_per_tile)).unwrap();
            check_weights(&golden, golden.gamma_class(variant), &manifest, &package);
        }
    }
}

#[test]
fn architectures_equal_the_reference() {
    for (folder, variant) in VARIANTS {
        let arch = Golden::load(folder).arch;
        let path = fixtures::path(folder).join(variant);
        let (manifest, _) = convert_to_memory(&path, &ConvertOptions::new("test")).unwrap();
        let got = manifest.architecture;
        assert_eq!(
            [
                got.hidden,
                got.ffn,
                got.layers,
                got.heads,
                got.kv_heads,
                got.head_dim,
                got.vocab,
                got.context
            ],
            [
                arch.hidden,
                arch.ffn,
                arch.layers,
                arch.heads,
                arch.kv_heads,
                arch.head_dim,
                arch.vocab,
                arch.max_positions
            ],
        );
        assert_eq!((got.rms_eps, got.rope_theta), (arch.eps, arch.rope_theta));
        assert_eq!((got.tied, got.sub_norms), (arch.tied, arch.sub_norms));
        assert_eq!(got.activation == Activation::Relu2, arch.act == "relu2");
    }
}

/// Floats of a bf16 tensor of the fixture, read with nothing but the header's JSON.
fn source_floats(path: &std::path::Path, name: &str) -> Vec<f32> {
    let file = std::fs::read(path.join("model.safetensors")).unwrap();
    let n = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&file[8..8 + n]).unwrap();
    assert_eq!(header[name]["dtype"], "BF16");
    let offset = |i: usize| 8 + n + header[name]["data_offsets"][i].as_u64().unwrap() as usize;
    let bytes = &file[offset(0)..offset(1)];
    bytes
        .chunks_exact(2)
        .map(|b| bf16::from_le_bytes(b.try_into().unwrap()).to_f32())
        .collect()
}

/// Rows `[n_rows][n_cols]` of an embedding or head, dequantised.
fn rows(manifest: &Manifest, package: &MemorySource, name: &str) -> Vec<f32> {
    let tensor = tensor(manifest, name);
    let n_cols = tensor.shape[1] as usize;
    let row_bytes = model::layout::gpu_row_bytes(&tensor.encoding, n_cols);
    let n_scales = model::layout::scales_per_row(&tensor.encoding, n_cols);
    let mut values = Vec::new();
    for decoded in decode_tensor(manifest, package, tensor) {
        let DecodedPiece::Rows { codes, scales } = decoded else {
            panic!("{name} has no rows")
        };
        for (row, codes) in codes.chunks_exact(row_bytes).enumerate() {
            let scales = &scales[row * n_scales..(row + 1) * n_scales];
            values.extend(match tensor.encoding {
                Encoding::F16 => dequantize_f16_row(codes, n_cols),
                Encoding::Q8 => dequantize_q8_row(codes, scales[0], n_cols),
                Encoding::Q6 { group } => dequantize_q6_row(codes, scales, group as usize, n_cols),
                Encoding::Q4 { .. } => dequantize_q4_row(codes, scales, n_cols),
                other => panic!("{name} is {other:?}"),
            });
        }
    }
    values
}

#[test]
fn embeddings_and_heads_come_back_within_their_precision() {
    let path = fixtures::path("gl256/packed_div");
    let formats = [
        (EmbedFormat::F16, 0.0),
        (EmbedFormat::Q8, 0.01),
        (EmbedFormat::Q6 { group: 32 }, 0.03),
        (EmbedFormat::Q6 { group: 64 }, 0.03),
        (EmbedFormat::Q4, 0.12),
    ];
    for (embed, tolerance) in formats {
        let options = ConvertOptions {
            embed,
            ..ConvertOptions::new("test")
        };
        let (manifest, package) = convert_to_memory(&path, &options).unwrap();
        for (name, hf_name) in [
            ("embed", "model.embed_tokens.weight"),
            ("lm_head", "lm_head.weight"),
        ] {
            let expected = source_floats(&path, hf_name);
            let got = rows(&manifest, &package, name);
            assert_eq!(got.len(), expected.len());
            let sum = |values: &mut dyn Iterator<Item = f32>| {
                values.map(|v| f64::from(v).powi(2)).sum::<f64>()
            };
            let error = sum(&mut got.iter().zip(&expected).map(|(a, b)| a - b))
                / sum(&mut expected.iter().copied());
            // Every value of this fixture is exact in f16; the quantised formats lose a little, but never nothing.
            assert!(
                error.sqrt() <= tolerance,
                "{embed:?} {name}: {}",
                error.sqrt()
            );
            assert_eq!(error == 0.0, embed == EmbedFormat::F16, "{embed:?} {name}");
        }
    }
}

#[test]
fn norms_are_the_source_values() {
    let path = fixtures::path("g256/packed");
    let (manifest, package) = convert_to_memory(&path, &ConvertOptions::new("test")).unwrap();
    let names = [
        ("final_norm", "model.norm.weight"),
        (
            "layers.0.attn_norm",
            "model.layers.0.input_layernorm.weight",
        ),
        (
            "layers.1.ffn_norm",
            "model.layers.1.post_attention_layernorm.weight",
        ),
        (
            "layers.1.attn_sub_norm",
            "model.layers.1.self_attn.attn_sub_norm.weight",
        ),
        (
            "layers.0.ffn_sub_norm",
            "model.layers.0.mlp.ffn_sub_norm.weight",
        ),
    ];
    for (name, hf_name) in names {
        let decoded = decode_tensor(&manifest, &package, tensor(&manifest, name));
        assert_eq!(
            decoded,
            [DecodedPiece::F32(source_floats(&path, hf_name))],
            "{name}"
        );
    }
}

#[test]
fn shards_of_single_and_sharded_checkpoints_are_identical() {
    let convert = |variant: &str| {
        convert_to_memory(
            &fixtures::path("g256").join(variant),
            &ConvertOptions::new("test"),
        )
        .unwrap()
    };
    let (single, single_files) = convert("packed");
    let (sharded, sharded_files) = convert("packed-sharded");
    assert_eq!(single.shards, sharded.shards);
    assert_eq!(single.tensors, sharded.tensors);
    assert_eq!(
        single.text, sharded.text,
        "the template is the same in chat_template.jinja and tokenizer_config.json"
    );
    for shard in &single.shards {
        assert_eq!(
            single_files.get(&shard.file),
            sharded_files.get(&shard.file)
        );
    }
}

#[test]
fn packages_are_byte_identical_across_runs() {
    let path = fixtures::path("g256/packed");
    for coding in [Coding::B2, Coding::T5] {
        let files = || {
            convert_to_memory(&path, &options(coding, 16))
                .unwrap()
                .1
                .files()
                .clone()
        };
        assert_eq!(files(), files());
    }
}

#[test]
fn t5_and_b2_packages_decode_to_the_same_words() {
    for (folder, variant) in PACKED {
        let path = fixtures::path(folder).join(variant);
        let (b2, b2_files) = convert_to_memory(&path, &options(Coding::B2, 16)).unwrap();
        let (t5, t5_files) = convert_to_memory(&path, &options(Coding::T5, 16)).unwrap();
        let bytes =
            |manifest: &Manifest| manifest.shards.iter().map(|shard| shard.bytes).sum::<u64>();
        assert!(bytes(&t5) < bytes(&b2));
        for (from_b2, from_t5) in b2.tensors.iter().zip(&t5.tensors) {
            let expected = decode_tensor(&b2, &b2_files, from_b2);
            assert_eq!(
                decode_tensor(&t5, &t5_files, from_t5),
                expected,
                "{folder} {}",
                from_b2.name
            );
        }
    }
}

#[test]
fn text_facts_are_those_of_the_files() {
    let manifest = |path: &str| {
        convert_to_memory(&fixtures::path(path), &ConvertOptions::new("test"))
            .unwrap()
            .0
    };
    let text = manifest("g256/packed").text.unwrap();
    let bos = text.bos.unwrap();
    assert_eq!((bos.text.as_str(), bos.id), ("<|begin_of_text|>", 378));
    assert_eq!(text.eos.unwrap().id, 379);
    assert_eq!(text.stop_ids, [379, 380]);
    assert!(
        text.chat_template
            .unwrap()
            .ends_with("{{ 'Assistant: ' }}{% endif %}")
    );
    assert_eq!(text.sampling, None, "the fixture asks for greedy decoding");

    let text = manifest("gl256/packed_div").text.unwrap();
    assert_eq!(
        (text.bos, text.eos.unwrap().id, text.stop_ids),
        (None, 2, vec![2, 0])
    );
    assert_eq!(manifest("h320/packed_mul").text, None);
}

/// A GGUF file says the same about text as the folder that it was made from.
#[test]
fn text_facts_of_gguf_files_are_those_of_the_folder() {
    for (folder, file, other) in [
        ("g256", "g256-i2_s.gguf", "packed"),
        ("g256", "g256-tq1_0.gguf", "packed"),
        ("gl256", "gl256-i2_s.gguf", "packed_div"),
    ] {
        let text = |variant: &str| {
            let path = fixtures::path(folder).join(variant);
            let (manifest, package) =
                convert_to_memory(&path, &ConvertOptions::new("test")).unwrap();
            let mut text = manifest.text.unwrap();
            let tokenizer = package.get(&text.tokenizer.file).unwrap();
            assert_eq!(text.tokenizer.bytes, tokenizer.len() as u64);
            text.tokenizer.bytes = 0;
            text.tokenizer.sha256.clear();
            text.sampling = None;
            text.stop_ids.sort_unstable();
            text
        };
        let (got, expected) = (text(file), text(other));
        assert_eq!(got.chat_template, expected.chat_template, "{file}");
        assert_eq!(
            (got.eos, &got.stop_ids),
            (expected.eos, &expected.stop_ids),
            "{file}"
        );
        if folder == "g256" {
            assert_eq!(got.bos, expected.bos, "{file}");
        }
    }
}

/// A file that was read with the wrong form of I2_S is nonsense, but no error: nothing in it says which form it has.
#[test]
fn the_form_of_i2_s_is_what_a_person_says() {
    let golden = Golden::load("g256");
    let path = fixtures::path("g256");
    let mut options = ConvertOptions::new("test");
    options.file = Some("g256-i2_s-64.gguf".to_string());
    let (manifest, package) = convert_to_memory(&path, &options).unwrap();
    let name = "model.layers.0.self_attn.q_proj";
    let codes = codes(&manifest, &package, tensor(&manifest, &canonical(name)));
    assert_ne!(
        format!("{:016x}", fnv1a64(&codes)),
        golden.weights[name].codes_fnv1a64
    );
}
