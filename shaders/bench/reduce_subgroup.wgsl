// Butterfly inside a subgroup over the lane distances SHUFFLE_FIRST, 2 * SHUFFLE_FIRST, ... below SHUFFLE_END.
override SHUFFLE_FIRST: u32 = 1u;
override SHUFFLE_END: u32 = 1u;

fn reduce_lanes(value: i32) -> i32 {
    var sum = value;
    for (var distance = SHUFFLE_FIRST; distance < SHUFFLE_END; distance = distance << 1u) {
        sum = sum + subgroupShuffleXor(sum, distance);
    }
    return sum;
}
