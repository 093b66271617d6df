// Merge of the chunks of a row of attention, one after the other in ascending order. Prefill merges a chunk as soon as it is
// computed, decode merges what other workgroups have left: the same functions, so the same bits.

// Weights of what is merged already and of the next chunk, and their new maximum and sum.
struct Merge {
    old: f32,
    fresh: f32,
    largest: f32,
    sum: f32,
}

fn merge(largest: f32, sum: f32, chunk_largest: f32, chunk_sum: f32) -> Merge {
    let top = max(largest, chunk_largest);
    let old = exp(largest - top);
    let fresh = exp(chunk_largest - top);
    return Merge(old, fresh, top, fma(old, sum, fresh * chunk_sum));
}

fn merge_values(weights: Merge, values: vec4<f32>, chunk_values: vec4<f32>) -> vec4<f32> {
    return fma(vec4<f32>(weights.old), values, weights.fresh * chunk_values);
}
