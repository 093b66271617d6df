//! Writes a checkpoint of the shape of 1bitLLM's 3B model with random weights, in the formats that such models are published in,
//! and measures what converting it takes:
//!
//!     cargo run --release -p model --example synthetic_masters -- write FORMAT FOLDER [LAYERS]
//!     cargo run --release -p model --example synthetic_masters -- convert FOLDER OUT
//!
//! `FORMAT` is `safetensors` (bf16 masters in three shards, 6.6 GB), `pytorch` (the same in one file) or `gguf` (I2_S, 1 GB). The
//! second command prints the time and the largest anonymous memory (Linux's RssAnon).

#![allow(
    clippy::unwrap_used,
    reason = "a tool for developers: a file that cannot be written ends it"
)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use fixtures::peak_anonymous_bytes;
use model::convert::{ConvertOptions, convert_folder};
use serde_json::json;

const HIDDEN: u64 = 3200;
const FFN: u64 = 8640;
const HEADS: u64 = 32;
const VOCAB: u64 = 32_002;
const LAYERS: u64 = 26;
const N_SHARDS: usize = 3;
/// Bytes written at once.
const BLOCK: usize = 1 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let start = Instant::now();
    match arguments[..] {
        ["write", format, folder] => write(format, Path::new(folder), LAYERS),
        ["write", format, folder, layers] => {
            write(format, Path::new(folder), layers.parse().expect("a number"));
        }
        ["convert", folder, out] => convert(folder, out),
        _ => panic!("usage: synthetic_masters write FORMAT FOLDER [LAYERS] | convert FOLDER OUT"),
    }
    eprintln!("{:.1} s", start.elapsed().as_secs_f64());
}

/// A tensor: its names in both worlds and its shape.
struct Tensor {
    hf: String,
    gguf: String,
    shape: Vec<u64>,
}

impl Tensor {
    fn n_elements(&self) -> u64 {
        self.shape.iter().product()
    }

    fn is_matrix(&self) -> bool {
        self.shape.len() == 2 && self.hf != "model.embed_tokens.weight"
    }
}

fn tensors(layers: u64) -> Vec<Tensor> {
    let tensor = |hf: String, gguf: String, shape: &[u64]| Tensor {
        hf: format!("{hf}.weight"),
        gguf: format!("{gguf}.weight"),
        shape: shape.to_vec(),
    };
    let mut all = vec![tensor(
        "model.embed_tokens".into(),
        "token_embd".into(),
        &[VOCAB, HIDDEN],
    )];
    for layer in 0..layers {
        for (hf, gguf, shape) in [
            ("input_layernorm", "attn_norm", &[HIDDEN][..]),
            ("self_attn.q_proj", "attn_q", &[HIDDEN, HIDDEN]),
            ("self_attn.k_proj", "attn_k", &[HIDDEN, HIDDEN]),
            ("self_attn.v_proj", "attn_v", &[HIDDEN, HIDDEN]),
            ("self_attn.inner_attn_ln", "attn_sub_norm", &[HIDDEN]),
            ("self_attn.o_proj", "attn_output", &[HIDDEN, HIDDEN]),
            ("post_attention_layernorm", "ffn_norm", &[HIDDEN]),
            ("mlp.gate_proj", "ffn_gate", &[FFN, HIDDEN]),
            ("mlp.up_proj", "ffn_up", &[FFN, HIDDEN]),
            ("mlp.ffn_layernorm", "ffn_sub_norm", &[FFN]),
            ("mlp.down_proj", "ffn_down", &[HIDDEN, FFN]),
        ] {
            all.push(tensor(
                format!("model.layers.{layer}.{hf}"),
                format!("blk.{layer}.{gguf}"),
                shape,
            ));
        }
    }
    all.push(tensor("model.norm".into(), "output_norm".into(), &[HIDDEN]));
    all
}

fn write(format: &str, folder: &Path, layers: u64) {
    std::fs::create_dir_all(folder).unwrap();
    let tensors = tensors(layers);
    let config = json!({
        "architectures": ["BitnetForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": HIDDEN,
        "intermediate_size": FFN, "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
        "vocab_size": VOCAB, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "weight_bits": 1, "input_bits": 8, "bos_token_id": 1, "eos_token_id": 2,
    });
    match format {
        "safetensors" => write_safetensors(folder, &tensors),
        "pytorch" => write_pytorch(&folder.join("pytorch_model.bin"), &tensors),
        "gguf" => return write_gguf(&folder.join("model.gguf"), &tensors, layers),
        other => panic!("unknown format {other}"),
    }
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

fn create(path: &Path) -> BufWriter<File> {
    BufWriter::with_capacity(BLOCK, File::create(path).unwrap())
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Writes bf16 values of either sign with magnitudes from 2^-9 to 2^-5.
fn write_bf16(out: &mut impl Write, n_elements: u64, random: &mut Random) {
    let mut block = Vec::with_capacity(BLOCK);
    let mut left = n_elements;
    while left > 0 {
        block.clear();
        while block.len() < BLOCK && left > 0 {
            for pair in random
                .next()
                .to_le_bytes()
                .chunks_exact(2)
                .take(left.min(4) as usize)
            {
                let bits = u16::from_le_bytes([pair[0], pair[1]]);
                // Two bits of the exponent are random, the others are fixed.
                let value = (bits & 0x807f) | (0x3b00 + (bits & 0x0180));
                block.extend(value.to_le_bytes());
                left -= 1;
            }
        }
        out.write_all(&block).unwrap();
    }
}

fn write_safetensors(folder: &Path, tensors: &[Tensor]) {
    let mut random = Random(1);
    let mut weight_map = serde_json::Map::new();
    for (index, part) in tensors.chunks(tensors.len().div_ceil(N_SHARDS)).enumerate() {
        let name = format!("model-{:05}-of-{N_SHARDS:05}.safetensors", index + 1);
        let mut header = serde_json::Map::new();
        let mut end = 0;
        for tensor in part {
            let begin = end;
            end += tensor.n_elements() * 2;
            let entry =
                json!({"dtype": "BF16", "shape": tensor.shape, "data_offsets": [begin, end]});
            header.insert(tensor.hf.clone(), entry);
            weight_map.insert(tensor.hf.clone(), name.clone().into());
        }
        let header = serde_json::to_vec(&header).unwrap();
        let mut out = create(&folder.join(&name));
        out.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        out.write_all(&header).unwrap();
        for tensor in part {
            write_bf16(&mut out, tensor.n_elements(), &mut random);
        }
        out.flush().unwrap();
    }
    let index = json!({"metadata": {}, "weight_map": weight_map});
    std::fs::write(
        folder.join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();
}

/// A pickle of bf16 tensors, each with a storage of its own.
fn pickle(tensors: &[Tensor]) -> Vec<u8> {
    let text = |text: &str| {
        [
            &b"X"[..],
            &(text.len() as u32).to_le_bytes(),
            text.as_bytes(),
        ]
        .concat()
    };
    let int = |n: u64| [&b"\x8a\x08"[..], &n.to_le_bytes()].concat();
    let mut bytes = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
    for (key, tensor) in tensors.iter().enumerate() {
        bytes.extend(text(&tensor.hf));
        bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        bytes.extend(text("storage"));
        bytes.extend(b"ctorch\nBFloat16Storage\n");
        bytes.extend(
            [
                text(&key.to_string()),
                text("cpu"),
                int(tensor.n_elements()),
            ]
            .concat(),
        );
        bytes.extend(b"tQK\x00(");
        tensor.shape.iter().for_each(|&n| bytes.extend(int(n)));
        bytes.extend(b"t(");
        let strides: &[u64] = if tensor.shape.len() == 2 {
            &[tensor.shape[1], 1]
        } else {
            &[1]
        };
        strides.iter().for_each(|&n| bytes.extend(int(n)));
        bytes.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
    }
    bytes.extend(b"u.");
    bytes
}

fn write_pytorch(path: &Path, tensors: &[Tensor]) {
    let mut out = create(path);
    let mut random = Random(1);
    let mut directory = Vec::new();
    let mut at = 0u64;
    let mut entry = |out: &mut BufWriter<File>, name: &str, bytes: u64| {
        let local = [
            &b"PK\x03\x04"[..],
            &[0; 22],
            &(name.len() as u16).to_le_bytes(),
            &[0; 2],
        ]
        .concat();
        out.write_all(&local).unwrap();
        out.write_all(name.as_bytes()).unwrap();
        directory.extend([&b"PK\x01\x02"[..], &[0; 16], &[0xff; 8]].concat());
        directory.extend([name.len() as u16, 28, 0].map(u16::to_le_bytes).concat());
        directory.extend([0; 8]);
        directory.extend([0xff; 4]);
        directory.extend(name.as_bytes());
        directory.extend([1u16, 24].map(u16::to_le_bytes).concat());
        directory.extend([bytes, bytes, at].map(u64::to_le_bytes).concat());
        at += local.len() as u64 + name.len() as u64 + bytes;
    };
    let pickle = pickle(tensors);
    entry(&mut out, "archive/data.pkl", pickle.len() as u64);
    out.write_all(&pickle).unwrap();
    for (key, tensor) in tensors.iter().enumerate() {
        entry(
            &mut out,
            &format!("archive/data/{key}"),
            tensor.n_elements() * 2,
        );
        write_bf16(&mut out, tensor.n_elements(), &mut random);
    }
    let n = tensors.len() as u64 + 1;
    out.write_all(&directory).unwrap();
    out.write_all(&[&b"PK\x06\x06"[..], &[0; 20]].concat())
        .unwrap();
    let end = [n, n, directory.len() as u64, at]
        .map(u64::to_le_bytes)
        .concat();
    out.write_all(&end).unwrap();
    let locator = [
        &b"PK\x06\x07\0\0\0\0"[..],
        &(at + directory.len() as u64).to_le_bytes(),
        &[1, 0, 0, 0],
    ];
    out.write_all(&locator.concat()).unwrap();
    out.write_all(&[&b"PK\x05\x06"[..], &[0; 4], &[0xff; 12], &[0; 2]].concat())
        .unwrap();
    out.flush().unwrap();
}

fn write_gguf(path: &Path, tensors: &[Tensor], layers: u64) {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut pairs = vec![
        [
            text("general.architecture"),
            vec![8, 0, 0, 0],
            text("bitnet"),
        ]
        .concat(),
    ];
    for (key, value) in [
        ("block_count", layers),
        ("context_length", 2048),
        ("embedding_length", HIDDEN),
        ("feed_forward_length", FFN),
        ("attention.head_count", HEADS),
        ("vocab_size", VOCAB),
    ] {
        let key = text(&format!("bitnet.{key}"));
        pairs.push([key, vec![4, 0, 0, 0], (value as u32).to_le_bytes().to_vec()].concat());
    }
    for (key, value) in [
        ("attention.layer_norm_rms_epsilon", 1e-5f32),
        ("rope.freq_base", 1e4),
    ] {
        let key = text(&format!("bitnet.{key}"));
        pairs.push([key, vec![6, 0, 0, 0], value.to_le_bytes().to_vec()].concat());
    }
    let mut header = [
        &b"GGUF\x03\0\0\0"[..],
        &(tensors.len() as u64).to_le_bytes(),
    ]
    .concat();
    header.extend((pairs.len() as u64).to_le_bytes());
    header.extend(pairs.concat());
    let mut offset = 0u64;
    for tensor in tensors {
        let (kind, bytes) = stored(tensor);
        header.extend(text(&tensor.gguf));
        header.extend((tensor.shape.len() as u32).to_le_bytes());
        tensor
            .shape
            .iter()
            .rev()
            .for_each(|n| header.extend(n.to_le_bytes()));
        header.extend(kind.to_le_bytes());
        header.extend(offset.to_le_bytes());
        offset += bytes.next_multiple_of(32);
    }
    header.resize(header.len().next_multiple_of(32), 0);
    let mut out = create(path);
    out.write_all(&header).unwrap();
    let mut random = Random(1);
    // All bytes whose four fields are 0, 1 or 2.
    let codes: Vec<u8> = (0..=255u8)
        .filter(|byte| (0..4).all(|i| byte >> (2 * i) & 3 != 3))
        .collect();
    for tensor in tensors {
        let (_, bytes) = stored(tensor);
        if tensor.is_matrix() {
            for _ in 0..(tensor.n_elements() / 4).div_ceil(8) {
                let eight = random.next().to_le_bytes();
                let eight = eight.map(|byte| codes[(usize::from(byte) * codes.len()) >> 8]);
                out.write_all(&eight).unwrap();
            }
            out.write_all(&[&0.02f32.to_le_bytes()[..], &[0; 28]].concat())
                .unwrap();
        } else if tensor.shape.len() == 1 {
            (0..tensor.n_elements()).for_each(|_| out.write_all(&1f32.to_le_bytes()).unwrap());
        } else {
            write_bf16(&mut out, tensor.n_elements(), &mut random);
        }
        let padding = bytes.next_multiple_of(32) - bytes;
        out.write_all(&vec![0; padding as usize]).unwrap();
    }
    out.flush().unwrap();
}

/// Type and bytes in a GGUF file.
fn stored(tensor: &Tensor) -> (u32, u64) {
    let n = tensor.n_elements();
    match tensor.shape.len() {
        1 => (0, n * 4),
        _ if tensor.is_matrix() => (36, n / 4 + 32),
        _ => (30, n * 2),
    }
}

fn convert(folder: &str, out: &str) {
    let options = ConvertOptions::new("synthetic 3B");
    let (result, peak) = peak_anonymous_bytes(|| {
        let go_on = &mut |_: &model::convert::Progress<'_>| ControlFlow::Continue(());
        convert_folder(Path::new(folder), Path::new(out), false, &options, go_on)
    });
    let manifest = result.unwrap_or_else(|error| panic!("{error}"));
    let bytes: u64 = manifest.shards.iter().map(|shard| shard.bytes).sum();
    let read: u64 = manifest.source.files.iter().map(|file| file.bytes).sum();
    eprintln!(
        "{folder}: {read} bytes; {out}: {} shards, {bytes} bytes",
        manifest.shards.len()
    );
    match peak {
        Some(peak) => eprintln!("largest anonymous memory: {:.1} MB", peak as f64 / 1e6),
        None => eprintln!("this system does not tell anonymous memory"),
    }
}
