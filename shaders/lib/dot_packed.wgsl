// Int8 dot products by the packed instruction. Same signatures as dot_scalar.wgsl.

// Dot product of 16 ternary codes (B2: code e at bits 8 * (e % 4) + 2 * (e / 4), values 0..2) with 16 signed bytes.
fn dot_codes(codes: u32, x: vec4<u32>) -> i32 {
    let mask = 0x03030303u;
    return dot4I8Packed(codes & mask, x.x)
        + dot4I8Packed((codes >> 2u) & mask, x.y)
        + dot4I8Packed((codes >> 4u) & mask, x.z)
        + dot4I8Packed((codes >> 6u) & mask, x.w);
}

// Sums of many such products, not yet weighed: where the codes are left in their places within a byte, three of four shifts
// are saved. The highest place would be a byte's sign.
alias DotSums = vec3<i32>;

fn add_codes(sums: DotSums, codes: u32, x: vec4<u32>) -> DotSums {
    let high = dot4I8Packed(codes & 0x30303030u, x.z) + dot4I8Packed((codes >> 2u) & 0x30303030u, x.w);
    return sums + vec3<i32>(dot4I8Packed(codes & 0x03030303u, x.x), dot4I8Packed(codes & 0x0C0C0C0Cu, x.y), high);
}

// Exact: the sums are multiples of what they are divided by.
fn dot_total(sums: DotSums) -> i32 {
    return sums.x + (sums.y >> 2u) + (sums.z >> 4u);
}

// Sum of four signed bytes.
fn sum_codes(x: u32) -> i32 {
    return dot4I8Packed(x, 0x01010101u);
}
