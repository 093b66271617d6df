// Merge of the chunks of a row of attention: two neighbours make a pair, eight pairs in a row make a group, one after the other in
// ascending order, and groups are merged in the same way. Prefill merges a chunk as soon as it is computed, decode merges what
// other workgroups have left, pairs and groups side by side: the same functions in the same order, so the same bits.
const CHUNKS_PER_PAIR: u32 = 2u;
const CHUNKS_PER_GROUP: u32 = 16u;

// Weights of what is merged already and of the next part, and their new maximum and sum.
struct Merge {
    old: f32,
    fresh: f32,
    largest: f32,
    sum: f32,
}

fn merge(largest: f32, sum: f32, next_largest: f32, next_sum: f32) -> Merge {
    // One of the weights is exp(0). What is not a number makes the other one so, and with it the sum.
    let less = exp(-abs(largest - next_largest));
    let is_first = largest >= next_largest;
    let old = select(less, 1.0, is_first);
    let fresh = select(1.0, less, is_first);
    return Merge(old, fresh, max(largest, next_largest), fma(old, sum, fresh * next_sum));
}

fn merge_values(weights: Merge, values: vec4<f32>, next_values: vec4<f32>) -> vec4<f32> {
    return fma(vec4<f32>(weights.old), values, weights.fresh * next_values);
}

// Values not yet divided, with their maximum and sum.
struct Part {
    values: vec4<f32>,
    largest: f32,
    sum: f32,
}

// `next` behind `so_far`, or alone if it is the first.
fn merge_parts(so_far: Part, next: Part, is_first: bool) -> Part {
    if is_first { return next; }
    let merged = merge(so_far.largest, so_far.sum, next.largest, next.sum);
    return Part(merge_values(merged, so_far.values, next.values), merged.largest, merged.sum);
}

// Chunks that come one after the other, merged as far as they are.
struct Merging {
    pair: Part,
    group: Part,
    whole: Part,
}

fn merge_chunk(so_far: Merging, next: Part, chunk: u32, is_last: bool) -> Merging {
    var merging = so_far;
    let in_group = chunk % CHUNKS_PER_GROUP;
    merging.pair = merge_parts(merging.pair, next, chunk % CHUNKS_PER_PAIR == 0u);
    if is_last || (chunk + 1u) % CHUNKS_PER_PAIR == 0u {
        merging.group = merge_parts(merging.group, merging.pair, in_group < CHUNKS_PER_PAIR);
        if is_last || in_group + 1u == CHUNKS_PER_GROUP {
            merging.whole = merge_parts(merging.whole, merging.group, chunk < CHUNKS_PER_GROUP);
        }
    }
    return merging;
}
