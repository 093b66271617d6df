// Sixteen codes of a B2 word times sixteen int8 activations, lanes unpacked to i32.
fn dot_four(w: u32, a: u32) -> i32 {
    let c = vec4<i32>(vec4<u32>(w, w >> 8u, w >> 16u, w >> 24u) & vec4<u32>(3u));
    let s = bitcast<vec4<i32>>(vec4<u32>(a << 24u, a << 16u, a << 8u, a)) >> vec4<u32>(24u);
    return c.x * s.x + c.y * s.y + c.z * s.z + c.w * s.w;
}

fn dot_word(w: u32, a: vec4<u32>) -> i32 {
    return dot_four(w, a.x) + dot_four(w >> 2u, a.y) + dot_four(w >> 4u, a.z) + dot_four(w >> 6u, a.w);
}

fn dot_quad(w: vec4<u32>, a0: vec4<u32>, a1: vec4<u32>, a2: vec4<u32>, a3: vec4<u32>) -> i32 {
    return dot_word(w.x, a0) + dot_word(w.y, a1) + dot_word(w.z, a2) + dot_word(w.w, a3);
}

// How often the sum of the activations is in the sum of the products beyond sum((code - 1) * q).
const SUM_FACTOR: i32 = 1;
