// Int8 dot products by the packed instruction. Same signatures as dot_scalar.wgsl.

// Dot product of 16 ternary codes (B2: code e at bits 8 * (e % 4) + 2 * (e / 4), values 0..2) with 16 signed bytes.
fn dot_codes(codes: u32, x: vec4<u32>) -> i32 {
    let mask = 0x03030303u;
    return dot4I8Packed(codes & mask, x.x)
        + dot4I8Packed((codes >> 2u) & mask, x.y)
        + dot4I8Packed((codes >> 4u) & mask, x.z)
        + dot4I8Packed((codes >> 6u) & mask, x.w);
}

// Sum of 16 signed bytes.
fn sum_codes(x: vec4<u32>) -> i32 {
    let ones = 0x01010101u;
    return dot4I8Packed(x.x, ones) + dot4I8Packed(x.y, ones) + dot4I8Packed(x.z, ones) + dot4I8Packed(x.w, ones);
}
