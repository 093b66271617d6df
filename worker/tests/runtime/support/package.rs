//! The smallest package that passes the manifest's checks.

use std::collections::HashMap;

use model::manifest::{
    FileHash, MemoryNeed, SCHEMA_VERSION, SourceInfo, SuggestedSampling, TextInfo,
};
use model::{
    Activation, Architecture, Coding, Encoding, Manifest, Piece, Scale, Tensor, TernaryLayout,
};

use super::world::hex;

pub(crate) const BASE_URL: &str = "https://host/models/tiny/";
pub(crate) const VOCAB: u32 = 300;
const WIDTH: u32 = 64;

/// A model of one layer, width 64, in three shards.
#[derive(Debug, Clone)]
pub(crate) struct Tiny {
    pub(crate) manifest: Manifest,
    shards: Vec<Vec<u8>>,
}

impl Default for Tiny {
    fn default() -> Self {
        Self::with_norms_in([2, 2, 2])
    }
}

impl Tiny {
    /// The same model in five shards, the last three of which are alike.
    pub(crate) fn with_alike_shards() -> Self {
        Self::with_norms_in([2, 3, 4])
    }

    /// The model with its norms in these shards.
    fn with_norms_in(norms: [u32; 3]) -> Self {
        let mut tiny = Self {
            manifest: manifest(),
            shards: vec![vec![]; norms[2] as usize + 1],
        };
        tiny.tensor(0, "embed", [VOCAB, WIDTH], Encoding::F16, VOCAB * WIDTH * 2);
        for name in ["q", "k", "v", "o", "gate", "up", "down"] {
            let encoding = Encoding::Ternary {
                scale: Scale::Tensor { value: 0.5 },
            };
            tiny.tensor(
                1,
                &format!("layers.0.{name}"),
                [WIDTH, WIDTH],
                encoding,
                WIDTH * WIDTH / 4,
            );
        }
        for (name, shard) in ["final_norm", "layers.0.attn_norm", "layers.0.ffn_norm"]
            .into_iter()
            .zip(norms)
        {
            tiny.tensor(shard, name, [1, WIDTH], Encoding::F32, WIDTH * 4);
        }
        for (index, bytes) in tiny.shards.iter().enumerate() {
            tiny.manifest
                .shards
                .push(file(&format!("{index:05}.bin"), bytes));
        }
        tiny
    }

    fn tensor(
        &mut self,
        shard: u32,
        name: &str,
        shape: [u32; 2],
        encoding: Encoding,
        n_bytes: u32,
    ) {
        let bytes = &mut self.shards[shard as usize];
        let piece = Piece {
            shard,
            offset: bytes.len() as u64,
            bytes: u64::from(n_bytes),
            first_row: 0,
            n_rows: shape[0],
        };
        bytes.extend((0..n_bytes).map(|i| i as u8));
        self.manifest.tensors.push(Tensor {
            name: name.to_owned(),
            shape,
            encoding,
            pieces: vec![piece],
        });
    }

    /// Every file of the package by its URL.
    pub(crate) fn files(&self, base_url: &str) -> HashMap<String, Vec<u8>> {
        let shards = self.manifest.shards.iter().zip(&self.shards);
        let mut files: HashMap<_, _> = shards
            .map(|(shard, bytes)| (format!("{base_url}{}", shard.file), bytes.clone()))
            .collect();
        files.insert(format!("{base_url}tokenizer.json"), b"{}".to_vec());
        files.insert(
            format!("{base_url}manifest.json"),
            serde_json::to_vec(&self.manifest).unwrap(),
        );
        files
    }
}

fn file(name: &str, bytes: &[u8]) -> FileHash {
    FileHash {
        file: name.to_owned(),
        bytes: bytes.len() as u64,
        sha256: hex(bytes),
    }
}

fn manifest() -> Manifest {
    Manifest {
        schema: SCHEMA_VERSION,
        name: "Tiny".into(),
        license: Some("MIT".into()),
        source: SourceInfo {
            kind: "huggingface-packed".into(),
            scale_convention: "multiply".into(),
            files: vec![],
        },
        architecture: Architecture {
            family: "llama".into(),
            hidden: WIDTH,
            ffn: WIDTH,
            layers: 1,
            heads: 1,
            kv_heads: 1,
            head_dim: WIDTH,
            vocab: VOCAB,
            context: 200,
            rms_eps: 1e-5,
            rope_theta: 10_000.0,
            activation: Activation::Silu,
            sub_norms: false,
            tied: true,
        },
        ternary: TernaryLayout {
            rows_per_tile: 1,
            coding: Coding::B2,
        },
        text: Some(TextInfo {
            tokenizer: file("tokenizer.json", b"{}"),
            chat_template: Some("scripted".into()),
            bos: None,
            eos: None,
            stop_ids: vec![super::session::STOP_ID],
            sampling: Some(SuggestedSampling {
                temperature: 0.4,
                top_p: 0.9,
                repetition_penalty: 1.1,
            }),
        }),
        memory: vec![MemoryNeed {
            context: 200,
            weight_bytes: 46_336,
            kv_bytes_f16: 51_200,
        }],
        shards: vec![],
        tensors: vec![],
    }
}
