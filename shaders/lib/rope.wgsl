// Rotation of a pair of elements of a head, the products spelled out as fma so that every kernel gets the same bits.
// turn: (cos, sin)

// The element in the lower half of the head.
fn rotate_lower(lower: f32, upper: f32, turn: vec2<f32>) -> f32 {
    return fma(lower, turn.x, -(upper * turn.y));
}

// The element in the upper half.
fn rotate_upper(lower: f32, upper: f32, turn: vec2<f32>) -> f32 {
    return fma(upper, turn.x, lower * turn.y);
}
