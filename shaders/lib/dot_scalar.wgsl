// Int8 dot products by plain integer arithmetic, for devices where the packed instruction is emulated.
// Same signatures as dot_packed.wgsl.

// Four 2-bit codes in the low bits of the bytes of `codes`, times four signed bytes.
fn dot_lanes(codes: u32, x: u32) -> i32 {
    return i32(codes & 3u) * (i32(x << 24u) >> 24u)
        + i32((codes >> 8u) & 3u) * (i32(x << 16u) >> 24u)
        + i32((codes >> 16u) & 3u) * (i32(x << 8u) >> 24u)
        + i32((codes >> 24u) & 3u) * (i32(x) >> 24u);
}

// Dot product of 16 ternary codes (B2: code e at bits 8 * (e % 4) + 2 * (e / 4), values 0..2) with 16 signed bytes.
fn dot_codes(codes: u32, x: vec4<u32>) -> i32 {
    return dot_lanes(codes, x.x) + dot_lanes(codes >> 2u, x.y) + dot_lanes(codes >> 4u, x.z) + dot_lanes(codes >> 6u, x.w);
}

// Sums of many such products.
alias DotSums = i32;

fn add_codes(sums: DotSums, codes: u32, x: vec4<u32>) -> DotSums {
    return sums + dot_codes(codes, x);
}

fn dot_total(sums: DotSums) -> i32 {
    return sums;
}

// Sum of four signed bytes.
fn sum_codes(x: u32) -> i32 {
    return (i32(x << 24u) >> 24u) + (i32(x << 16u) >> 24u) + (i32(x << 8u) >> 24u) + (i32(x) >> 24u);
}
