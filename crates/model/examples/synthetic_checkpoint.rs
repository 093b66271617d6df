//! Writes a packed checkpoint of a published shape with random weights and a tokenizer of its size, and measures what converting it takes:
//!
//!     cargo run --release -p model --example synthetic_checkpoint -- write SHAPE FOLDER [LAYERS]
//!     cargo run --release -p model --example synthetic_checkpoint -- convert FOLDER OUT
//!
//! `SHAPE` is `2b-4t`, `falcon-e-3b` or `llama3-8b`. The second command prints the time and the largest anonymous memory (Linux's RssAnon).

#![allow(
    clippy::unwrap_used,
    reason = "a tool for developers: a file that cannot be written ends it"
)]

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use fixtures::{
    Shape, peak_anonymous_bytes, write_synthetic_checkpoint, write_synthetic_tokenizer,
};
use model::convert::{ConvertOptions, convert_folder};

const SEED: u64 = 1;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let start = Instant::now();
    match arguments[..] {
        ["write", name, folder] => write(folder, shape(name)),
        ["write", name, folder, layers] => {
            let layers = layers.parse().expect("LAYERS is a number");
            write(
                folder,
                Shape {
                    layers,
                    ..shape(name)
                },
            );
        }
        ["convert", folder, out] => convert(folder, out),
        _ => panic!("usage: synthetic_checkpoint write SHAPE FOLDER [LAYERS] | convert FOLDER OUT"),
    }
    eprintln!("{:.1} s", start.elapsed().as_secs_f64());
}

fn shape(name: &str) -> Shape {
    match name {
        "2b-4t" => Shape::BITNET_2B_4T,
        "falcon-e-3b" => Shape::FALCON_E_3B,
        "llama3-8b" => Shape::LLAMA3_8B,
        other => panic!("no shape {other}; there are 2b-4t, falcon-e-3b and llama3-8b"),
    }
}

fn write(folder: &str, shape: Shape) {
    let bytes = write_synthetic_checkpoint(Path::new(folder), &shape, SEED);
    eprintln!("{folder}: {bytes} bytes of weights");
    // The larger vocabulary with as many merges as the 2B-4T model's tokenizer has.
    let merges = if shape.vocab == 128_256 {
        280_147
    } else {
        shape.vocab as usize
    };
    let bytes = write_synthetic_tokenizer(Path::new(folder), shape.vocab as usize, merges);
    eprintln!("{folder}: {bytes} bytes of tokenizer");
}

fn convert(folder: &str, out: &str) {
    let options = ConvertOptions::new("synthetic");
    let (result, peak) = peak_anonymous_bytes(|| {
        convert_folder(
            Path::new(folder),
            Path::new(out),
            false,
            &options,
            &mut |_| ControlFlow::Continue(()),
        )
    });
    let manifest = result.unwrap_or_else(|error| panic!("{error}"));
    let bytes: u64 = manifest.shards.iter().map(|shard| shard.bytes).sum();
    eprintln!("{out}: {} shards, {bytes} bytes", manifest.shards.len());
    match peak {
        Some(peak) => eprintln!("largest anonymous memory: {:.1} MB", peak as f64 / 1e6),
        None => eprintln!("this system does not tell anonymous memory"),
    }
}
