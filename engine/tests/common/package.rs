//! Conversions of golden fixtures, kept in memory.

use super::golden::Package;
use model::convert::{ConvertOptions, EmbedFormat, MemorySink, convert};
use model::layout::{DecodedPiece, decode_piece, pack_b2, unpack_b2};
use model::source::FolderSource;
use model::{Coding, Encoding, Scale, Tensor};
use std::ops::ControlFlow;

impl Package {
    /// A fixture with exact embeddings (f16 holds its values).
    pub fn of(folder: &str, variant: &str) -> Self {
        Self::coded(folder, variant, Coding::B2)
    }

    /// A fixture with the ternary codes stored in a given coding.
    pub fn coded(folder: &str, variant: &str, coding: Coding) -> Self {
        let source = FolderSource::new(&fixtures::path(&format!("{folder}/{variant}"))).unwrap();
        let options = ConvertOptions {
            embed: EmbedFormat::F16,
            coding,
            ..ConvertOptions::new(folder)
        };
        let mut sink = MemorySink::default();
        let manifest = convert(&source, &mut sink, &options, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
        let files = sink.into_source().unwrap();
        let shards = manifest
            .shards
            .iter()
            .map(|shard| files.get(&shard.file).unwrap().to_vec())
            .collect();
        Self { manifest, shards }
    }

    fn tensor(&self, name: &str) -> &Tensor {
        self.manifest
            .tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .unwrap()
    }

    fn pieces(&self, name: &str) -> impl Iterator<Item = DecodedPiece<'_>> {
        let tensor = self.tensor(name);
        tensor.pieces.iter().map(move |piece| {
            decode_piece(
                &self.manifest.ternary,
                tensor,
                piece,
                &self.shards[piece.shard as usize],
            )
            .unwrap()
        })
    }

    /// A norm's gains.
    pub fn vector(&self, name: &str) -> Vec<f32> {
        self.pieces(name)
            .flat_map(|piece| match piece {
                DecodedPiece::F32(values) => values,
                other => panic!("{name} holds {other:?}"),
            })
            .collect()
    }

    /// Codes 0..2 `[n_rows, n_cols]` and the multiplier of a ternary tensor that lies in one piece.
    pub fn codes(&self, name: &str) -> (Vec<u8>, f32) {
        let tensor = self.tensor(name);
        let Encoding::Ternary {
            scale: Scale::Tensor { value },
        } = tensor.encoding
        else {
            panic!("{name} is not ternary")
        };
        let [n_rows, n_cols] = tensor.shape.map(|n| n as usize);
        let DecodedPiece::Ternary { words, .. } = self.pieces(name).next().unwrap() else {
            panic!("{name} is not ternary")
        };
        (
            unpack_b2(
                &words,
                n_rows,
                n_cols,
                self.manifest.ternary.rows_per_tile as usize,
            ),
            value,
        )
    }

    /// Reorders the rows of every query and key matrix as llama.cpp's converters do for arch `llama`.
    pub fn permute_query_and_key_rows(&mut self) {
        let (layers, d) = (
            self.manifest.architecture.layers,
            self.manifest.architecture.head_dim as usize,
        );
        for name in (0..layers).flat_map(|n| [format!("layers.{n}.q"), format!("layers.{n}.k")]) {
            let (codes, _) = self.codes(&name);
            let tensor = self.tensor(&name).clone();
            let [n_rows, n_cols] = tensor.shape.map(|n| n as usize);
            let mut permuted = Vec::with_capacity(codes.len());
            for row in 0..n_rows {
                // New row h*D + 2p + t holds row h*D + t*D/2 + p.
                let (head, p, t) = (row / d, (row % d) / 2, row % 2);
                let from = head * d + t * d / 2 + p;
                permuted.extend_from_slice(&codes[from * n_cols..(from + 1) * n_cols]);
            }
            let packed = pack_b2(
                &permuted,
                n_rows,
                n_cols,
                self.manifest.ternary.rows_per_tile as usize,
            );
            let piece = tensor.pieces[0];
            let at = usize::try_from(piece.offset).unwrap();
            self.shards[piece.shard as usize][at..at + packed.len()].copy_from_slice(&packed);
        }
    }
}
