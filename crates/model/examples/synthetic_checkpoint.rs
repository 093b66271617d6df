//! Writes a checkpoint of the shape of BitNet b1.58 2B-4T with random weights and a tokenizer of its size, and measures what converting it takes:
//!
//!     cargo run --release -p model --example synthetic_checkpoint -- write FOLDER [LAYERS]
//!     cargo run --release -p model --example synthetic_checkpoint -- convert FOLDER OUT
//!
//! The second command prints the time and the largest anonymous memory (Linux's RssAnon).

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
        ["write", folder] => write(folder, Shape::BITNET_2B_4T),
        ["write", folder, layers] => {
            write(
                folder,
                Shape {
                    layers: layers.parse().expect("LAYERS is a number"),
                    ..Shape::BITNET_2B_4T
                },
            );
        }
        ["convert", folder, out] => convert(folder, out),
        _ => panic!("usage: synthetic_checkpoint write FOLDER [LAYERS] | convert FOLDER OUT"),
    }
    eprintln!("{:.1} s", start.elapsed().as_secs_f64());
}

fn write(folder: &str, shape: Shape) {
    let bytes = write_synthetic_checkpoint(Path::new(folder), &shape, SEED);
    eprintln!("{folder}: {bytes} bytes of weights");
    // As many merges as the 2B-4T model's tokenizer has.
    let bytes = write_synthetic_tokenizer(Path::new(folder), shape.vocab as usize, 280_147);
    eprintln!("{folder}: {bytes} bytes of tokenizer");
}

fn convert(folder: &str, out: &str) {
    let options = ConvertOptions::new("synthetic 2B-4T");
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
