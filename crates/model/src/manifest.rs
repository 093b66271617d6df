//! The types of `manifest.json`, version 1. See `docs/FORMAT.md` for what each field means.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Version of the package format that this crate writes, and the only one that it reads.
pub const SCHEMA_VERSION: u32 = 1;

/// No shard is larger than this many bytes.
pub const MAX_SHARD_BYTES: u64 = 8 * 1024 * 1024;

/// Name of the manifest inside a package.
pub const MANIFEST_FILE: &str = "manifest.json";

/// Description of one package: everything that is needed to load and run the model except the bytes of its shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Package format version, [`SCHEMA_VERSION`].
    pub schema: u32,
    /// Model name as people know it.
    pub name: String,
    /// SPDX expression of the weights' licence, when the source states one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where the weights came from.
    pub source: SourceInfo,
    /// Shape and graph of the network.
    pub architecture: Architecture,
    /// How ternary codes are arranged and coded.
    pub ternary: TernaryLayout,
    /// Tokenizer, chat template and stop tokens; absent when the source has no tokenizer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextInfo>,
    /// Memory needs at some context lengths.
    pub memory: Vec<MemoryNeed>,
    /// The shard files, in reading order.
    pub shards: Vec<Shard>,
    /// The tensors and where their pieces lie.
    pub tensors: Vec<Tensor>,
}

impl Manifest {
    /// The manifest as the bytes of `manifest.json`: the same manifest always gives the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self)
            .expect("a manifest has only string keys and writes to memory");
        json.push(b'\n');
        json
    }
}

/// Provenance of a package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Kind of checkpoint, for example `huggingface-packed`.
    pub kind: String,
    /// How the source's scale becomes the multiplier: `multiply` or `divide` (formats: `weight_scale` is it, or its inverse).
    pub scale_convention: String,
    /// Every source file that was read, with its hash.
    pub files: Vec<FileHash>,
}

/// A file with its length and hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileHash {
    /// File name without folders.
    pub file: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

/// A shard file. The same fields as [`FileHash`].
pub type Shard = FileHash;

/// Shape and graph of a decoder-only transformer with ternary projections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// `bitnet` (sub-norms) or `llama` (none): informative, the fields below decide.
    pub family: String,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Width of the feed-forward product.
    pub ffn: u32,
    /// Number of layers.
    pub layers: u32,
    /// Number of query heads.
    pub heads: u32,
    /// Number of key-value heads; divides `heads`.
    pub kv_heads: u32,
    /// Width of one head.
    pub head_dim: u32,
    /// Number of rows of the embedding.
    pub vocab: u32,
    /// Largest number of positions that the model defines.
    pub context: u32,
    /// Epsilon of every RMSNorm.
    pub rms_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Activation of the gated feed-forward network.
    pub activation: Activation,
    /// Whether attention output and feed-forward product are normalised before their projection.
    pub sub_norms: bool,
    /// Whether the LM head is the embedding.
    pub tied: bool,
}

/// Activation of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `relu(x)^2`.
    Relu2,
    /// `x * sigmoid(x)`.
    Silu,
}

/// Arrangement and coding of ternary codes, the same for all ternary tensors of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TernaryLayout {
    /// Rows interleaved in one tile (a power of two, 1 to 64); rows are padded to a multiple of it with code 1 (value 0).
    pub rows_per_tile: u32,
    /// How the codes are stored in the shards.
    pub coding: Coding,
}

/// Storage coding of ternary codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// 2 bits a code, in the order that the kernels read.
    B2,
    /// 1.6 bits a code: five codes a byte, expanded to [`Coding::B2`] when read.
    T5,
}

/// Tokenizer and conversation facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextInfo {
    /// The tokenizer file of the package (`tokenizer.json`, kept as the source has it).
    pub tokenizer: FileHash,
    /// Jinja chat template; absent for base models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
    /// Beginning-of-sequence token text and id, when the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos: Option<TokenRef>,
    /// End-of-sequence token text and id, as the template may name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos: Option<TokenRef>,
    /// Token ids that end an answer.
    pub stop_ids: Vec<u32>,
    /// Suggested sampling, when the model's author gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SuggestedSampling>,
}

/// A token by text and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRef {
    /// Text of the token.
    pub text: String,
    /// Its id.
    pub id: u32,
}

/// Sampling values suggested by a model's author.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SuggestedSampling {
    /// Temperature.
    pub temperature: f32,
    /// Nucleus mass.
    pub top_p: f32,
    /// Repetition penalty.
    pub repetition_penalty: f32,
}

impl SuggestedSampling {
    /// Temperatures that a package may suggest. These ranges are those of the settings that the app's worker takes; a package
    /// that suggested something else could not be talked to.
    pub const TEMPERATURE: RangeInclusive<f32> = 0.0..=10.0;
    /// The same of the nucleus mass.
    pub const TOP_P: RangeInclusive<f32> = f32::MIN_POSITIVE..=1.0;
    /// The same of the repetition penalty.
    pub const REPETITION_PENALTY: RangeInclusive<f32> = 0.01..=100.0;
}

/// Bytes of GPU memory at one context length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryNeed {
    /// Tokens of context.
    pub context: u32,
    /// Weights, as they lie on the GPU (codes at 2 bits).
    pub weight_bytes: u64,
    /// Key-value cache in f16.
    pub kv_bytes_f16: u64,
}

/// One tensor of the package. Names are canonical, see `docs/FORMAT.md`:
/// `embed`, `lm_head`, `final_norm`, and per layer `layers.N.` + `attn_norm`, `q`, `k`, `v`, `attn_sub_norm`, `o`,
/// `ffn_norm`, `gate`, `up`, `ffn_sub_norm`, `down`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// Canonical name.
    pub name: String,
    /// `[n_rows, n_cols]`; a vector is `[1, n]`.
    pub shape: [u32; 2],
    /// What the pieces hold.
    pub encoding: Encoding,
    /// Runs of rows, in order, together all rows.
    pub pieces: Vec<Piece>,
}

/// What a tensor's pieces hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Encoding {
    /// Ternary codes in the package's [`TernaryLayout`].
    Ternary {
        /// The multiplier of the codes.
        scale: Scale,
    },
    /// Little-endian f32.
    F32,
    /// Little-endian IEEE half, rows padded to a multiple of 64 elements.
    F16,
    /// Signed bytes with one f32 scale per row.
    Q8,
    /// 6-bit codes with one f16 scale per group of 32 or 64 elements of a row.
    Q6 {
        /// Elements per scale, 32 or 64.
        group: u32,
    },
    /// 4-bit codes with one f16 scale per group of 32 elements of a row.
    Q4 {
        /// Elements per scale, 32.
        group: u32,
    },
}

/// The multiplier of ternary codes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "per", rename_all = "lowercase")]
pub enum Scale {
    /// One value for the whole tensor.
    Tensor {
        /// The multiplier (gamma).
        value: f32,
    },
    /// One f16 value for each group of `size` codes of a row, stored after the codes of each piece.
    Group {
        /// Codes per scale.
        size: u32,
    },
}

/// A run of rows of one tensor inside one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Index into [`Manifest::shards`].
    pub shard: u32,
    /// Byte offset in the shard, a multiple of 16.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// First row; for ternary tensors a multiple of `rows_per_tile`.
    pub first_row: u32,
    /// Rows held, padding not counted.
    pub n_rows: u32,
}
