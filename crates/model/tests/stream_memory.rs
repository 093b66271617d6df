//! Memory of a streamed conversion. One test alone in its process, since it looks at the memory of the whole process.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use common::remote::block_on;
use fixtures::{Shape, TempDir, anonymous_bytes, peak_anonymous_bytes, write_synthetic_checkpoint};
use model::convert::{
    Checkpoint, ConvertOptions, FinishedShard, PackageStore, StreamLimits, Streamed, plan_remote,
    stream,
};
use model::manifest::FileHash;
use model::source::{ByteRange, FolderSource, RemoteSource, Source as _, read_range};
use model::{Error, hash};

/// A folder whose files come in chunks as a browser hands them over.
struct Remote(FolderSource);

impl RemoteSource for Remote {
    type Error = Error;

    async fn files(&mut self) -> Result<Vec<String>, Error> {
        self.0.files()
    }

    async fn len(&mut self, file: &str) -> Result<Option<u64>, Error> {
        self.0.len(file)
    }

    async fn read(&mut self, range: &ByteRange) -> Result<Vec<u8>, Error> {
        read_range(&self.0, range)
    }

    async fn next(&mut self, file: &str, offset: u64) -> Result<Vec<u8>, Error> {
        let left = self.0.len(file)?.unwrap_or(0) - offset;
        let range = ByteRange {
            file: file.to_string(),
            offset,
            bytes: left.min(200_000),
        };
        read_range(&self.0, &range)
    }
}

/// Keeps hashes of what it gets, and puts aside into files.
struct Store {
    folder: PathBuf,
    shards: Vec<String>,
}

impl PackageStore for Store {
    type Error = Error;

    async fn put_shard(&mut self, shard: FinishedShard) -> Result<(), Error> {
        hash::check_hash(&shard.file, &shard.bytes)?;
        self.shards.push(shard.file.sha256);
        Ok(())
    }

    async fn put_file(&mut self, _: &FileHash, _: Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    async fn note(&mut self, _: Checkpoint) -> Result<(), Error> {
        Ok(())
    }

    async fn put_aside(&mut self, number: u32, bytes: Vec<u8>) -> Result<(), Error> {
        std::fs::write(self.folder.join(number.to_string()), bytes).unwrap();
        Ok(())
    }

    async fn read_aside(&mut self, number: u32) -> Result<Vec<u8>, Error> {
        Ok(std::fs::read(self.folder.join(number.to_string())).unwrap())
    }

    async fn drop_aside(&mut self, number: u32) -> Result<(), Error> {
        std::fs::remove_file(self.folder.join(number.to_string())).unwrap();
        Ok(())
    }
}

/// One layer with float matrices of the sizes of 2B-4T, the largest 35 MB: more than may wait in memory.
fn write_masters(folder: &Path) {
    let (hidden, ffn, vocab) = (2560u64, 6912u64, 1000u64);
    let config = serde_json::json!({
        "architectures": ["BitnetForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": hidden,
        "intermediate_size": ffn, "num_hidden_layers": 1, "num_attention_heads": 20, "num_key_value_heads": 20,
        "vocab_size": vocab, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "weight_bits": 1, "input_bits": 8, "bos_token_id": 1, "eos_token_id": 2,
    });
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let layer = |name: &str| format!("model.layers.0.{name}.weight");
    let tensors = [
        ("model.embed_tokens.weight".to_string(), vec![vocab, hidden]),
        ("model.norm.weight".to_string(), vec![hidden]),
        (layer("input_layernorm"), vec![hidden]),
        (layer("self_attn.q_proj"), vec![hidden, hidden]),
        (layer("self_attn.k_proj"), vec![hidden, hidden]),
        (layer("self_attn.v_proj"), vec![hidden, hidden]),
        (layer("self_attn.inner_attn_ln"), vec![hidden]),
        (layer("self_attn.o_proj"), vec![hidden, hidden]),
        (layer("post_attention_layernorm"), vec![hidden]),
        (layer("mlp.gate_proj"), vec![ffn, hidden]),
        (layer("mlp.up_proj"), vec![ffn, hidden]),
        (layer("mlp.ffn_layernorm"), vec![ffn]),
        (layer("mlp.down_proj"), vec![hidden, ffn]),
    ];
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, shape) in &tensors {
        let begin = end;
        end += shape.iter().product::<u64>() * 2;
        let entry =
            serde_json::json!({"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]});
        header.insert(name.clone(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = File::create(folder.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(&header).unwrap();
    // Values between 0.002 and 0.03 of either sign.
    let block: Vec<u8> = (0..1u32 << 16)
        .map(|n| n.wrapping_mul(2_654_435_761) >> 16)
        .flat_map(|n| ((n & 0x81ff | 0x3b00) as u16).to_le_bytes())
        .collect();
    let mut left = end as usize;
    while left > 0 {
        let n = left.min(block.len());
        file.write_all(&block[..n]).unwrap();
        left -= n;
    }
}

/// Streams a folder; memory grows by at most 48 MB, and the package is what the reader of folders makes.
fn check(input: &Path, goes_aside: bool) {
    let folder = TempDir::new("stream-aside");
    let mut store = Store {
        folder: folder.path().to_path_buf(),
        shards: Vec::new(),
    };
    let options = ConvertOptions::new("test");
    let limits = StreamLimits::default();
    let before = anonymous_bytes();
    let (streamed, peak): (Result<Streamed, Error>, _) = peak_anonymous_bytes(|| {
        block_on(async {
            let mut remote = Remote(FolderSource::new(input)?);
            let plan = plan_remote(&mut remote, &options, &limits).await?;
            let progress = &mut |_: &model::convert::Progress<'_>| ControlFlow::Continue(());
            stream(
                &mut remote,
                &mut store,
                &plan,
                &BTreeMap::new(),
                None,
                &limits,
                progress,
            )
            .await
        })
    });
    let streamed = streamed.unwrap();
    eprintln!(
        "counted peak {}, measured growth {:?}, put aside {}",
        streamed.peak_bytes,
        peak.zip(before)
            .map(|(peak, before)| peak.saturating_sub(before)),
        streamed.aside_bytes
    );
    // 16 MiB that wait, then the shard being put together, or a step: 8 MiB of rows with what they become, or a packed
    // matrix of 4.4 MB with its result.
    assert!(streamed.peak_bytes < 40_000_000, "{}", streamed.peak_bytes);
    assert_eq!(streamed.aside_bytes > 0, goes_aside);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "what was put aside is gone");
    match (before, peak) {
        (Some(before), Some(peak)) => {
            let growth = peak.saturating_sub(before);
            assert!(growth < 56_000_000, "conversion took {growth} bytes");
        }
        _ if cfg!(target_os = "linux") => panic!("Linux tells RssAnon"),
        _ => eprintln!("this system does not tell anonymous memory: nothing was compared"),
    }
    let out = folder.path().join("out");
    let progress = &mut |_: &model::convert::Progress<'_>| ControlFlow::Continue(());
    let expected = model::convert::convert_folder(input, &out, false, &options, progress).unwrap();
    assert_eq!(streamed.manifest, expected);
    let mut shards: Vec<String> = expected
        .shards
        .into_iter()
        .map(|shard| shard.sha256)
        .collect();
    shards.sort();
    store.shards.sort();
    assert_eq!(store.shards, shards);
}

#[test]
fn a_stream_takes_a_few_shards_of_memory() {
    let shape = Shape {
        layers: 3,
        vocab: 24_000,
        ..Shape::BITNET_2B_4T
    };
    let folder = TempDir::new("stream-memory");
    let packed = folder.path().join("packed");
    write_synthetic_checkpoint(&packed, &shape, 1);
    check(&packed, false);
    std::fs::remove_dir_all(&packed).unwrap();
    let masters = folder.path().join("masters");
    write_masters(&masters);
    check(&masters, true);
}
