// No sum inside a subgroup: every partial sum goes through workgroup memory.
fn reduce_lanes(value: i32) -> i32 {
    return value;
}
