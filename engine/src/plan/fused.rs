//! The dispatches of a fused decode step: six a layer instead of ten.

use super::dispatches::{Builder, dispatch};
use crate::exec::Dispatch;
use crate::ops::{AttentionCombine, BufferId, Epilogue, NormGemv, RopeAttention, TernaryGemv};
use crate::weights::{Layer, Ternary, Weights};

/// The row that the layers update: a fused norm reads one buffer and writes the other.
struct Row {
    current: BufferId,
    other: BufferId,
}

/// What a product quantises.
struct Input {
    x: BufferId,
    gain: Option<BufferId>,
    width: u32,
    /// `delta` is added first, and the sum written here.
    sum: Option<BufferId>,
}

impl Builder<'_> {
    /// Embedding and all layers for one token, with the bits of [`Builder::body`].
    pub(super) fn fused_body(&self, weights: &Weights) -> Vec<Dispatch> {
        let mut out = Vec::new();
        let s = &self.scratch;
        // The row changes places 2 * layers - 1 times, and ends where the head reads it.
        let mut row = Row {
            current: s.x_other,
            other: s.x,
        };
        self.embed(&mut out, &weights.embed, row.current, 1);
        for (n, layer) in weights.layers.iter().enumerate() {
            self.fused_attention(&mut out, n, layer, &mut row);
            self.fused_feed_forward(&mut out, n, layer, &mut row);
        }
        debug_assert_eq!(row.current, s.x, "the head reads x");
        out
    }

    fn fused_attention(&self, out: &mut Vec<Dispatch>, n: usize, layer: &Layer, row: &mut Row) {
        let (arch, s, kv) = (self.arch, &self.scratch, self.io.kv[n]);
        let name = |part: &str| format!("layers.{n}.{part}");
        let [k_offset, v_offset] = self.kv_offsets();
        let input = row.input(Some(layer.attn_norm), arch.hidden, n > 0);
        let stacked = layer.qkv.rows_padded;
        out.push(self.fused_product(
            name("qkv"),
            &layer.qkv,
            (stacked, Epilogue::Store),
            input,
            s.qkv,
        ));
        let attention = RopeAttention {
            heads: arch.heads,
            kv_heads: arch.kv_heads,
            head_dim: arch.head_dim,
            k_offset,
            v_offset,
            context: self.context,
            kv: self.kv,
        };
        let buffers = vec![s.qkv, s.rope, kv.k, kv.v, s.partials];
        out.push(dispatch(name("rope_attention"), attention, buffers));
        let combine = AttentionCombine {
            heads: arch.heads,
            head_dim: arch.head_dim,
            context: self.context,
        };
        let buffers = vec![s.partials, s.attn];
        out.push(dispatch(name("attention_combine"), combine, buffers));
        let input = Input {
            x: s.attn,
            gain: layer.attn_sub_norm,
            width: arch.heads * arch.head_dim,
            sum: None,
        };
        let outputs = (arch.hidden, Epilogue::Store);
        out.push(self.fused_product(name("o"), &layer.o, outputs, input, s.delta));
    }

    fn fused_feed_forward(&self, out: &mut Vec<Dispatch>, n: usize, layer: &Layer, row: &mut Row) {
        let (arch, s) = (self.arch, &self.scratch);
        let name = |part: &str| format!("layers.{n}.{part}");
        let input = row.input(Some(layer.ffn_norm), arch.hidden, true);
        let outputs = (arch.ffn, self.gated());
        out.push(self.fused_product(name("gate_up"), &layer.gate_up, outputs, input, s.inner));
        let input = Input {
            x: s.inner,
            gain: layer.ffn_sub_norm,
            width: arch.ffn,
            sum: None,
        };
        let outputs = (arch.hidden, Epilogue::Store);
        out.push(self.fused_product(name("down"), &layer.down, outputs, input, s.delta));
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
            add_delta: input.sum.is_some(),
        };
        let delta = if op.add_delta { s.delta } else { s.dummy };
        let buffers = vec![
            matrix.w,
            matrix.gamma,
            input.x,
            delta,
            input.gain.unwrap_or(s.dummy),
            input.sum.unwrap_or(s.dummy_out),
            y,
        ];
        dispatch(label, op, buffers)
    }
}

impl Row {
    /// The row as the input of a product, after `delta` was added (and the buffers have changed places) or as it is.
    fn input(&mut self, gain: Option<BufferId>, width: u32, add_delta: bool) -> Input {
        let x = self.current;
        if add_delta {
            std::mem::swap(&mut self.current, &mut self.other);
        }
        Input {
            x,
            gain,
            width,
            sum: add_delta.then_some(self.current),
        }
    }
}
