//! The products of a layer, as the dispatches of a decode step have them.

use crate::ops::{Epilogue, NormGemv, Reach, TernaryGemv};
use model::layout::{padded_cols, padded_rows};
use model::{Activation, Architecture};

/// One product, by the kernel of a step that is not fused and by that of one that is.
pub(super) struct Product {
    /// What it is in the model.
    pub(super) name: &'static str,
    pub(super) op: TernaryGemv,
    pub(super) fused: NormGemv,
}

impl Product {
    /// Rows of all matrices that are read.
    pub(super) fn stored_rows(&self) -> u32 {
        self.op.rows_padded() * self.op.epilogue.n_matrices()
    }
}

/// The four products of a layer. The row of `o` lies there as it is: merging the parts of attention is no share of a product.
pub(super) fn products(arch: &Architecture, rows_per_tile: u32) -> [Product; 4] {
    let product = |name, n_rows, width: u32, epilogue, norm| {
        let op = TernaryGemv {
            n_rows,
            k_padded: to_u32(padded_cols(width as usize)),
            rows_per_tile,
            epilogue,
        };
        let fused = NormGemv {
            product: op.clone(),
            width,
            eps: arch.rms_eps,
            norm,
            merged: None,
            reach: Reach::All,
        };
        Product { name, op, fused }
    };
    let heads = arch.heads * arch.head_dim;
    let pad = |n_rows: u32| to_u32(padded_rows(n_rows as usize, rows_per_tile as usize));
    let stacked = pad(heads) + 2 * pad(arch.kv_heads * arch.head_dim);
    let gated = match arch.activation {
        Activation::Relu2 => Epilogue::Relu2,
        Activation::Silu => Epilogue::Silu,
    };
    let sub_norms = arch.sub_norms;
    [
        product("qkv", stacked, arch.hidden, Epilogue::Store, true),
        product("o", arch.hidden, heads, Epilogue::Add, sub_norms),
        product("gate_up", arch.ffn, arch.hidden, gated, true),
        product("down", arch.hidden, arch.ffn, Epilogue::Add, sub_norms),
    ]
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).expect("the architecture was validated: sizes fit u32")
}
