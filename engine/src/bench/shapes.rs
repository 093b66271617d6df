//! Architectures of published models.

use model::{Activation, Architecture};

/// Names of the shapes that [`architecture`] knows.
pub const SHAPES: [&str; 6] = [
    "tiny",
    "2b-4t",
    "3b",
    "falcon-e-1b",
    "falcon-e-3b",
    "llama3-8b",
];

/// The architecture of a published model (`tiny`: of none, for tests and software adapters).
#[must_use]
pub fn architecture(shape: &str) -> Option<Architecture> {
    let bitnet = |hidden, ffn, layers, heads, kv_heads, head_dim, vocab| Architecture {
        family: "bitnet".to_owned(),
        hidden,
        ffn,
        layers,
        heads,
        kv_heads,
        head_dim,
        vocab,
        context: 4096,
        rms_eps: 1e-5,
        rope_theta: 500_000.0,
        activation: Activation::Relu2,
        sub_norms: true,
        tied: true,
    };
    let llama = |hidden, ffn, layers, heads, kv_heads, vocab, context| Architecture {
        family: "llama".to_owned(),
        activation: Activation::Silu,
        sub_norms: false,
        tied: false,
        context,
        ..bitnet(hidden, ffn, layers, heads, kv_heads, 128, vocab)
    };
    Some(match shape {
        "tiny" => bitnet(256, 704, 2, 4, 2, 64, 1000),
        "2b-4t" => bitnet(2560, 6912, 30, 20, 5, 128, 128_256),
        "3b" => Architecture {
            activation: Activation::Silu,
            rope_theta: 10_000.0,
            context: 2048,
            ..bitnet(3200, 8640, 26, 32, 32, 100, 32_002)
        },
        "falcon-e-1b" => llama(2048, 9216, 24, 16, 2, 32_768, 8192),
        "falcon-e-3b" => llama(2048, 13_312, 32, 16, 2, 32_768, 8192),
        "llama3-8b" => llama(4096, 14_336, 32, 32, 8, 128_256, 8192),
        _ => return None,
    })
}
