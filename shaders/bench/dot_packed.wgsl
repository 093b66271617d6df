// Sixteen codes of a B2 word times sixteen int8 activations by WGSL's packed dot product.
fn dot_word(w: u32, a: vec4<u32>) -> i32 {
    return dot4I8Packed(w & 0x03030303u, a.x)
        + dot4I8Packed((w >> 2u) & 0x03030303u, a.y)
        + dot4I8Packed((w >> 4u) & 0x03030303u, a.z)
        + dot4I8Packed((w >> 6u) & 0x03030303u, a.w);
}

fn dot_quad(w: vec4<u32>, a0: vec4<u32>, a1: vec4<u32>, a2: vec4<u32>, a3: vec4<u32>) -> i32 {
    return dot_word(w.x, a0) + dot_word(w.y, a1) + dot_word(w.z, a2) + dot_word(w.w, a3);
}

// How often the sum of the activations is in the sum of the products beyond sum((code - 1) * q).
const SUM_FACTOR: i32 = 1;
