//! One op of each kernel.

use engine::ops::{
    Attention, AttentionCombine, AttentionLoop, Embed, Epilogue, LmHead, LogitScan, NormGemv,
    NormQuantize, Op, Reach, RmsNorm, RopeAttention, RopeKv, Sample, TernaryGemm, TernaryGemv,
};
use engine::{Executor, KvType, Rows};

/// Values by the names of the shader's members, floats as their bits.
pub(crate) type Params = Vec<(&'static str, u32)>;

/// One op of each kernel, and what its params must hold, by the names that the shader gives them.
pub(crate) fn ops() -> Vec<(Box<dyn Op>, Params)> {
    let product = TernaryGemv {
        n_rows: 100,
        k_padded: 192,
        rows_per_tile: 16,
        epilogue: Epilogue::Silu,
    };
    let product_params = vec![
        ("n_rows", 100),
        ("n_quads", 3),
        ("up_offset", 336),
        ("up_gamma", 112),
    ];
    let row_params = |stride| {
        let first = [
            ("hidden", 72),
            ("first_row", 5),
            ("n_rows", 9),
            ("n_octets", 16),
            ("scales_per_row", 4),
        ];
        [
            first.as_slice(),
            &[("octets_per_scale", 4), ("row_stride", stride)],
        ]
        .concat()
    };
    let attention = Attention {
        heads: 6,
        kv_heads: 2,
        head_dim: 64,
        context: 300,
        kv: KvType::F16,
        max_tokens: 4,
    };
    let attention_params = vec![
        ("heads", 6),
        ("group", 3),
        ("head_dim", 64),
        ("context", 300),
        ("scale", 0.125_f32.to_bits()),
    ];
    let eps = 1e-5_f32;
    let rope = RopeKv {
        heads: 6,
        kv_heads: 2,
        head_dim: 64,
        stride: 700,
        k_offset: 400,
        v_offset: 560,
        context: 300,
        kv: KvType::F16,
        max_tokens: 4,
    };
    let rope_params = vec![
        ("heads", 6),
        ("kv_heads", 2),
        ("head_dim", 64),
        ("stride", 700),
        ("k_offset", 400),
        ("v_offset", 560),
        ("context", 300),
    ];
    let norm = NormQuantize {
        width: 100,
        k_padded: 128,
        eps,
        norm: true,
        max_tokens: 4,
    };
    let embed = Embed {
        hidden: 72,
        first_row: 5,
        n_rows: 9,
        rows: Rows::Q6,
        group: 32,
        max_tokens: 4,
    };
    let head = LmHead {
        hidden: 72,
        vocab: 20,
        first_row: 5,
        n_rows: 9,
        rows: Rows::Q6,
        group: 32,
        max_logits: 2,
    };
    let step = Executor::cpu().create_buffer("step", 16).unwrap();
    vec![
        (Box::new(embed), row_params(0)),
        (
            Box::new(norm),
            vec![("width", 100), ("k_padded", 128), ("eps", eps.to_bits())],
        ),
        (
            Box::new(NormGemv {
                product: product.clone(),
                width: 188,
                eps,
                norm: true,
                merged: None,
                reach: Reach::All,
            }),
            Vec::new(),
        ),
        (Box::new(product.clone()), Vec::new()),
        (
            Box::new(TernaryGemm {
                product,
                max_tokens: 4,
            }),
            product_params,
        ),
        (Box::new(rope), rope_params),
        (
            Box::new(AttentionLoop(attention.clone())),
            attention_params.clone(),
        ),
        (Box::new(attention), attention_params.clone()),
        (
            Box::new(RopeAttention {
                heads: 6,
                kv_heads: 2,
                head_dim: 64,
                k_offset: 400,
                v_offset: 560,
                context: 300,
                kv: KvType::F16,
                reach: Reach::All,
                pairs: false,
            }),
            Vec::new(),
        ),
        (
            Box::new(AttentionCombine {
                heads: 6,
                head_dim: 64,
                context: 300,
                pairs: false,
                reach: Reach::All,
            }),
            Vec::new(),
        ),
        (
            Box::new(RmsNorm {
                width: 100,
                eps,
                max_tokens: 4,
                max_logits: 2,
            }),
            vec![("width", 100), ("eps", eps.to_bits())],
        ),
        (Box::new(head), row_params(20)),
        (
            Box::new(LogitScan {
                vocab: 5000,
                context: 300,
            }),
            vec![("vocab", 5000), ("context", 300)],
        ),
        (
            Box::new(Sample {
                vocab: 5000,
                context: 300,
                step,
            }),
            vec![("vocab", 5000), ("context", 300), ("segments", 10)],
        ),
    ]
}
