// Fills one copy of a matrix with pseudo-random codes, so that every interleaving holds the same matrix.
// The word `w` of row `row` of copy `copy` is a function of these three numbers alone; code 3 becomes 0.
struct Fill {
    n_rows: u32,
    n_quads: u32,
    tile: u32,
    copy: u32,
}

@group(0) @binding(0) var<storage, read_write> codes: array<vec4<u32>>;
@group(0) @binding(1) var<uniform> fill: Fill;

fn mix(x: u32) -> u32 {
    var h = x;
    h = (h ^ (h >> 16u)) * 0x7feb352du;
    h = (h ^ (h >> 15u)) * 0x846ca68bu;
    return h ^ (h >> 16u);
}

fn code_word(row: u32, w: u32) -> u32 {
    let h = mix(mix(fill.copy * 0x9e3779b9u + row) + w);
    let three = h & (h >> 1u) & 0x55555555u;
    return h ^ (three | (three << 1u));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    if gid.x >= fill.n_rows * fill.n_quads {
        return;
    }
    let row = (gid.x / (fill.n_quads * fill.tile)) * fill.tile + gid.x % fill.tile;
    let w = ((gid.x / fill.tile) % fill.n_quads) * 4u;
    codes[gid.x] = vec4<u32>(code_word(row, w), code_word(row, w + 1u), code_word(row, w + 2u), code_word(row, w + 3u));
}
