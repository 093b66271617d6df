// Embedding lookup.
//
//   x[t] = table[tokens[t] - first_row], when that row is in this part
//
// tokens [n_tokens] u32
// table, scales: see the provider of `rows`
// x      [n_tokens, hidden] f32; rows of tokens outside the part are left alone
// One invocation: eight columns of a token. Needs hidden % 4 == 0.
// needs: step, rows

override WG: u32 = 64;

@group(0) @binding(0) var<uniform> params: RowsParams;
@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(5) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let octet = wid.x * WG + lid;
    let token = wid.y;
    let n4 = params.hidden / 4u;
    // Tokens below first_row wrap around to large rows.
    let row = tokens[token] - params.first_row;
    if token >= step.n_tokens || row >= params.n_rows || octet * 2u >= n4 { return; }
    let values = row_octet(row, octet);
    x[token * n4 + octet * 2u] = values.lo;
    if octet * 2u + 1u < n4 {
        x[token * n4 + octet * 2u + 1u] = values.hi;
    }
}
