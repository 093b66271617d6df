//! The dispatches of a fused decode step: five a layer, six at long contexts, instead of ten.

use super::dispatches::{Builder, dispatch};
use crate::exec::{Dispatch, Executor};
use crate::ops::{
    AttentionCombine, BufferId, Epilogue, Merged, NormGemv, Reach, RopeAttention, TernaryGemv,
};
use crate::weights::{Layer, Ternary, Weights};
use model::Architecture;

/// What a product quantises.
struct Input {
    x: BufferId,
    gain: Option<BufferId>,
    width: u32,
    merged: Option<Merged>,
    reach: Reach,
}

/// Whether decode steps of a model are to be fused (see [`Tuning::fused`](crate::ops::Tuning)): wanted, and within the workgroup
/// memory of the device.
pub(super) fn suits(arch: &Architecture, executor: &Executor) -> bool {
    let Executor::Gpu(gpu) = executor else {
        return false;
    };
    let memory = gpu.device().workgroup_bytes();
    let queries = arch.heads * arch.head_dim;
    let mut products = [
        (Epilogue::Store, queries, arch.hidden),
        (Epilogue::Silu, arch.ffn, arch.hidden),
        (Epilogue::Add, arch.hidden, queries),
        (Epilogue::Add, arch.hidden, arch.ffn),
    ]
    .into_iter();
    gpu.tuning().fused
        && products.all(|(epilogue, n_rows, width)| {
            let shape = (epilogue, n_rows, width.next_multiple_of(64));
            NormGemv::fits(shape, gpu.tuning(), memory)
        })
}

impl Builder<'_> {
    /// Embedding and all layers for one token, with the bits of [`Builder::body`].
    pub(super) fn fused_body(&self, weights: &Weights) -> Vec<Dispatch> {
        let mut out = Vec::new();
        self.embed(&mut out, &weights.embed, self.scratch.x, 1);
        for (n, layer) in weights.layers.iter().enumerate() {
            self.fused_attention(&mut out, n, layer);
            self.fused_feed_forward(&mut out, n, layer);
        }
        out
    }

    fn fused_attention(&self, out: &mut Vec<Dispatch>, n: usize, layer: &Layer) {
        let (arch, s, kv) = (self.arch, &self.scratch, self.io.kv[n]);
        let name = |part: &str| format!("layers.{n}.{part}");
        let [k_offset, v_offset] = self.kv_offsets();
        let input = Input {
            x: s.x,
            gain: Some(layer.attn_norm),
            width: arch.hidden,
            merged: None,
            reach: Reach::All,
        };
        let stacked = layer.qkv.rows_padded;
        out.push(self.fused_product(
            name("qkv"),
            &layer.qkv,
            (stacked, Epilogue::Store),
            input,
            s.qkv,
        ));
        let attention = |reach| RopeAttention {
            heads: arch.heads,
            kv_heads: arch.kv_heads,
            head_dim: arch.head_dim,
            k_offset,
            v_offset,
            context: self.context,
            kv: self.kv,
            reach,
            pairs: self.pairs_attention && reach == Reach::Short,
        };
        for reach in [Reach::Short, Reach::Long] {
            let buffers = vec![s.qkv, s.rope, kv.k, kv.v, s.partials];
            out.push(dispatch(name("rope_attention"), attention(reach), buffers));
        }
        let combine = AttentionCombine {
            heads: arch.heads,
            head_dim: arch.head_dim,
            context: self.context,
            pairs: false,
            reach: Reach::Long,
        };
        let merged = Merged {
            heads: arch.heads,
            head_dim: arch.head_dim,
            context: self.context,
            pairs: self.pairs_attention,
        };
        let buffers = vec![s.partials, s.attn];
        out.push(dispatch(name("attention_combine"), combine, buffers));
        // One group is merged where it is read.
        for (reach, x, merged) in [
            (Reach::Short, s.partials, Some(merged)),
            (Reach::Long, s.attn, None),
        ] {
            let input = Input {
                x,
                gain: layer.attn_sub_norm,
                width: arch.heads * arch.head_dim,
                merged,
                reach,
            };
            let outputs = (arch.hidden, Epilogue::Add);
            out.push(self.fused_product(name("o"), &layer.o, outputs, input, s.x));
        }
    }

    fn fused_feed_forward(&self, out: &mut Vec<Dispatch>, n: usize, layer: &Layer) {
        let (arch, s) = (self.arch, &self.scratch);
        let name = |part: &str| format!("layers.{n}.{part}");
        let input = Input {
            x: s.x,
            gain: Some(layer.ffn_norm),
            width: arch.hidden,
            merged: None,
            reach: Reach::All,
        };
        let outputs = (arch.ffn, self.gated());
        out.push(self.fused_product(name("gate_up"), &layer.gate_up, outputs, input, s.inner));
        let input = Input {
            x: s.inner,
            gain: layer.ffn_sub_norm,
            width: arch.ffn,
            merged: None,
            reach: Reach::All,
        };
        let outputs = (arch.hidden, Epilogue::Add);
        out.push(self.fused_product(name("down"), &layer.down, outputs, input, s.x));
    }

    fn fused_product(
        &self,
        label: String,
        matrix: &Ternary,
        (n_rows, epilogue): (u32, Epilogue),
        input: Input,
        y: BufferId,
    ) -> Dispatch {
        let s = &self.scratch;
        let op = NormGemv {
            product: TernaryGemv {
                n_rows,
                k_padded: matrix.k_padded,
                rows_per_tile: self.tile,
                epilogue,
            },
            width: input.width,
            eps: self.arch.rms_eps,
            norm: input.gain.is_some(),
            merged: input.merged,
            reach: input.reach,
        };
        let buffers = vec![
            matrix.w,
            matrix.gamma,
            input.x,
            input.gain.unwrap_or(s.dummy),
            y,
        ];
        dispatch(label, op, buffers)
    }
}
