//! The dispatches of a model, in order.

use super::{Io, MAX_LOGIT_ROWS, Scratch, pad_cols, pad_rows};
use crate::KvType;
use crate::exec::Dispatch;
use crate::ops::{
    Attention, AttentionLoop, BufferId, Embed, Epilogue, LmHead, LogitScan, NormQuantize, Op,
    RmsNorm, RopeKv, Sample, TernaryGemm, TernaryGemv,
};
use crate::weights::{Layer, RowTable, Ternary, Weights};
use model::{Activation, Architecture};

/// What the dispatches of a model depend on beside its weights.
pub(super) struct Builder<'a> {
    pub(super) arch: &'a Architecture,
    pub(super) tile: u32,
    pub(super) context: u32,
    pub(super) chunk: u32,
    pub(super) kv: KvType,
    pub(super) scratch: Scratch,
    pub(super) io: Io,
    pub(super) loops_attention: bool,
    pub(super) pairs_attention: bool,
}

impl Builder<'_> {
    /// Embedding and all layers for up to `max_tokens` tokens: the single-row products for one, the tiled ones for more.
    pub(super) fn body(&self, weights: &Weights, max_tokens: u32) -> Vec<Dispatch> {
        let mut out = Vec::new();
        self.embed(&mut out, &weights.embed, self.scratch.x, max_tokens);
        for (n, layer) in weights.layers.iter().enumerate() {
            self.attention(&mut out, n, layer, max_tokens);
            self.feed_forward(&mut out, n, layer, max_tokens);
        }
        out
    }

    pub(super) fn embed(
        &self,
        out: &mut Vec<Dispatch>,
        table: &RowTable,
        x: BufferId,
        max_tokens: u32,
    ) {
        for part in &table.parts {
            let op = Embed {
                hidden: self.arch.hidden,
                first_row: part.first_row,
                n_rows: part.n_rows,
                rows: table.rows,
                group: table.group,
                max_tokens,
            };
            let buffers = vec![self.io.tokens, part.table, part.scales, x];
            out.push(dispatch("embed".to_owned(), op, buffers));
        }
    }

    fn attention(&self, out: &mut Vec<Dispatch>, n: usize, layer: &Layer, max_tokens: u32) {
        let (arch, s, kv) = (self.arch, &self.scratch, self.io.kv[n]);
        let name = |part: &str| format!("layers.{n}.{part}");
        let heads = arch.heads * arch.head_dim;
        let [k_offset, v_offset] = self.kv_offsets();
        out.push(self.norm(
            name("attn_in"),
            s.x,
            Some(layer.attn_norm),
            arch.hidden,
            max_tokens,
        ));
        out.push(self.product(
            name("qkv"),
            &layer.qkv,
            layer.qkv.rows_padded,
            Epilogue::Store,
            s.qkv,
            max_tokens,
        ));
        let rope = RopeKv {
            heads: arch.heads,
            kv_heads: arch.kv_heads,
            head_dim: arch.head_dim,
            stride: layer.qkv.rows_padded,
            k_offset,
            v_offset,
            context: self.context,
            kv: self.kv,
            max_tokens,
        };
        out.push(dispatch(
            name("rope_kv"),
            rope,
            vec![s.qkv, s.rope, s.q_rotated, kv.k, kv.v],
        ));
        let attention = Attention {
            heads: arch.heads,
            kv_heads: arch.kv_heads,
            head_dim: arch.head_dim,
            context: self.context,
            kv: self.kv,
            max_tokens,
        };
        let buffers = vec![s.q_rotated, kv.k, kv.v, s.attn];
        out.push(if self.loops_attention {
            dispatch(name("attention"), AttentionLoop(attention), buffers)
        } else {
            dispatch(name("attention"), attention, buffers)
        });
        out.push(self.norm(
            name("attn_out"),
            s.attn,
            layer.attn_sub_norm,
            heads,
            max_tokens,
        ));
        out.push(self.product(
            name("o"),
            &layer.o,
            arch.hidden,
            Epilogue::Add,
            s.x,
            max_tokens,
        ));
    }

    fn feed_forward(&self, out: &mut Vec<Dispatch>, n: usize, layer: &Layer, max_tokens: u32) {
        let (arch, s) = (self.arch, &self.scratch);
        let name = |part: &str| format!("layers.{n}.{part}");
        let gated = self.gated();
        out.push(self.norm(
            name("ffn_in"),
            s.x,
            Some(layer.ffn_norm),
            arch.hidden,
            max_tokens,
        ));
        out.push(self.product(
            name("gate_up"),
            &layer.gate_up,
            arch.ffn,
            gated,
            s.inner,
            max_tokens,
        ));
        out.push(self.norm(
            name("ffn_mid"),
            s.inner,
            layer.ffn_sub_norm,
            arch.ffn,
            max_tokens,
        ));
        out.push(self.product(
            name("down"),
            &layer.down,
            arch.hidden,
            Epilogue::Add,
            s.x,
            max_tokens,
        ));
    }

    /// Where keys and values start in a row of the stacked product.
    pub(super) fn kv_offsets(&self) -> [u32; 2] {
        let k_offset = pad_rows(self.arch.heads * self.arch.head_dim, self.tile);
        let kv_rows = pad_rows(self.arch.kv_heads * self.arch.head_dim, self.tile);
        [k_offset, k_offset + kv_rows]
    }

    /// What becomes of gate and up.
    pub(super) fn gated(&self) -> Epilogue {
        match self.arch.activation {
            Activation::Relu2 => Epilogue::Relu2,
            Activation::Silu => Epilogue::Silu,
        }
    }

    fn norm(
        &self,
        label: String,
        x: BufferId,
        gain: Option<BufferId>,
        width: u32,
        max_tokens: u32,
    ) -> Dispatch {
        let s = &self.scratch;
        let op = NormQuantize {
            width,
            k_padded: pad_cols(width),
            eps: self.arch.rms_eps,
            norm: gain.is_some(),
            max_tokens,
        };
        let buffers = vec![x, gain.unwrap_or(s.dummy), s.q, s.rows];
        dispatch(label, op, buffers)
    }

    fn product(
        &self,
        label: String,
        matrix: &Ternary,
        n_rows: u32,
        epilogue: Epilogue,
        y: BufferId,
        max_tokens: u32,
    ) -> Dispatch {
        let product = TernaryGemv {
            n_rows,
            k_padded: matrix.k_padded,
            rows_per_tile: self.tile,
            epilogue,
        };
        let buffers = vec![matrix.w, matrix.gamma, self.scratch.q, self.scratch.rows, y];
        if max_tokens == 1 {
            dispatch(label, product, buffers)
        } else {
            dispatch(
                label,
                TernaryGemm {
                    product,
                    max_tokens,
                },
                buffers,
            )
        }
    }

    pub(super) fn head(&self, weights: &Weights) -> Vec<Dispatch> {
        let (arch, s) = (self.arch, &self.scratch);
        let norm = RmsNorm {
            width: arch.hidden,
            eps: arch.rms_eps,
            max_tokens: self.chunk,
            max_logits: MAX_LOGIT_ROWS,
        };
        let mut out = vec![dispatch(
            "final_norm".to_owned(),
            norm,
            vec![s.x, weights.final_norm, s.normed],
        )];
        for part in &weights.head.parts {
            let op = LmHead {
                hidden: arch.hidden,
                vocab: arch.vocab,
                first_row: part.first_row,
                n_rows: part.n_rows,
                rows: weights.head.rows,
                group: weights.head.group,
                max_logits: MAX_LOGIT_ROWS,
            };
            out.push(dispatch(
                "lm_head".to_owned(),
                op,
                vec![s.normed, part.table, part.scales, self.io.logits],
            ));
        }
        out
    }

    pub(super) fn sample(&self) -> Vec<Dispatch> {
        let io = &self.io;
        let scan = LogitScan {
            vocab: self.arch.vocab,
            context: self.context,
        };
        let sample = Sample {
            vocab: self.arch.vocab,
            context: self.context,
            step: io.step,
        };
        let buffers = vec![
            io.sampling,
            io.logits,
            io.found,
            io.sample_weights,
            io.history,
            io.tokens,
            io.results,
        ];
        vec![
            dispatch(
                "logit_scan".to_owned(),
                scan,
                vec![io.sampling, io.logits, io.history, io.found],
            ),
            dispatch("sample".to_owned(), sample, buffers),
        ]
    }
}

pub(super) fn dispatch(label: String, op: impl Op + 'static, buffers: Vec<BufferId>) -> Dispatch {
    Dispatch {
        label,
        op: Box::new(op),
        buffers,
    }
}
