// Attention of up to four query heads of one key-value head over one chunk of the context: what the kernels of prefill and of
// decode share, so that a position's result does not depend on the run it is computed in.
//
//   s_p = (q . k_p) / sqrt(D);   m = max s_p;   l = sum exp(s_p - m);   acc = sum exp(s_p - m) v_p
//
// Every sum has one order, fixed by the head's size and the positions alone.
// 256 invocations compute a chunk. The including kernel has a TEAM of them, or two that compute two chunks side by side (of one
// head), provides `kv`, fills q_heads, loads keys and values as the cache holds them (key_place and value_place say which of the
// chunk an invocation needs), and unpacks them. Loads of an invocation are unrolled and their places clamped, not branched over,
// so that they are all on their way together. `lid` is the place in the team, `unit` the team's first unit. Needs D <= 256.

const TEAM: u32 = 256u;
const CHUNK: u32 = 64u;
const PARTS: u32 = 4u;      // invocations that share a position's score: TEAM / CHUNK
const SHARES: u32 = 16u;    // invocations that share a head's maximum and sum, four positions each
const OTHER_SHARES: u32 = 15u;
const PER_SHARE: u32 = 4u;  // CHUNK / SHARES
const QUADS: u32 = 64u;     // of a head: D / 4, at most 64. A constant, since divisions by it are many
const HEADS: u32 = 1u;      // query heads of a workgroup, at most 4
const TEAMS: u32 = 1u;      // of a workgroup; two only where HEADS is 1
const UNITS: u32 = 1u;      // HEADS * TEAMS: a unit is one head's part of one chunk
const JOINED: u32 = 1u;     // heads whose weighted values are joined at once, at most 2
const JOIN_ROUNDS: u32 = 1u; // HEADS / JOINED
const JOIN_UNITS: u32 = 1u;  // JOINED * TEAMS
const KEY_STEPS: u32 = 2u;   // QUADS / PARTS, rounded up
const SLICES: u32 = 4u;     // invocations that share a quad of the values: TEAM / QUADS
const OTHER_SLICES: u32 = 3u;
const VALUE_STEPS: u32 = 2u; // CHUNK / SLICES, rounded up

// Heads have an index of their own, so that bounds are checked once for all of them.
var<workgroup> q_heads: array<array<vec4<f32>, QUADS>, HEADS>; // quads, rotated
var<workgroup> chunk_weights: array<array<f32, 64>, UNITS>;    // exponentials, by position
var<workgroup> share_max: array<array<f32, 16>, UNITS>;
var<workgroup> share_sum: array<array<f32, 16>, UNITS>;
// First scores by score_place, a head a component, later, in the same memory, weighted values by invocation: the less a workgroup
// takes, the more of them have room at once.
var<workgroup> value_parts: array<array<vec4<f32>, TEAM>, JOIN_UNITS>;

// A quad of a head's keys or values: position in the chunk and place in the head.
struct Place {
    p: u32,
    quad: u32,
}

// The j-th key quad that an invocation needs of the chunk's first n positions (n > 0).
fn key_place(lid: u32, j: u32, n: u32) -> Place {
    return Place(min(lid / PARTS, n - 1u), min(lid % PARTS + j * PARTS, QUADS - 1u));
}

// The j-th value quad: four elements of the head, of every n-th position.
fn value_place(lid: u32, j: u32, n: u32) -> Place {
    return Place(min(lid / QUADS + j * SLICES, n - 1u), lid % QUADS);
}

// Where the parts of the scores of position p are: beside those of other positions that are read at the same time.
fn score_place(p: u32, part: u32) -> u32 {
    return part * CHUNK + ((p % PER_SHARE * SHARES + p / PER_SHARE) ^ (part * 2u));
}

// A part of all heads' scores of an invocation's position; to be followed by weigh_chunk.
fn score_chunk(lid: u32, unit: u32, keys: array<vec4<f32>, KEY_STEPS>) {
    let part = lid % PARTS;
    var key = keys;
    var sums: array<vec4<f32>, HEADS>;
    for (var h = 0u; h < HEADS; h = h + 1u) { // unrolled
        sums[h] = vec4<f32>(0.0);
    }
    for (var j = 0u; j < KEY_STEPS; j = j + 1u) { // unrolled
        let i = part + j * PARTS;
        for (var h = 0u; h < HEADS; h = h + 1u) { // unrolled
            if i < QUADS { sums[h] = fma(q_heads[h][i], key[j], sums[h]); }
        }
    }
    var scores = vec4<f32>(0.0);
    for (var h = 0u; h < HEADS; h = h + 1u) { // unrolled
        scores[h] = (sums[h].x + sums[h].y) + (sums[h].z + sums[h].w);
    }
    value_parts[unit * JOINED][score_place(lid / PARTS, part)] = scores;
}

// Largest score of a unit; valid after weigh_chunk.
fn chunk_max(unit: u32) -> f32 {
    var largest = share_max[unit][0];
    for (var i = 0u; i < OTHER_SHARES; i = i + 1u) { // unrolled
        largest = max(largest, share_max[unit][i + 1u]);
    }
    return largest;
}

// Sum of a unit's exponentials; valid after weigh_chunk.
fn chunk_sum(unit: u32) -> f32 {
    var sum = share_sum[unit][0];
    for (var i = 0u; i < OTHER_SHARES; i = i + 1u) { // unrolled
        sum = sum + share_sum[unit][i + 1u];
    }
    return sum;
}

// Exponentials of the scores of the chunk's first n positions (n > 0), zero behind them, and their sums. One invocation
// keeps four scores of a head from the first to the last step: fewer barriers are worth more than more invocations.
fn weigh_chunk(lid: u32, unit: u32, n: u32, scale: f32) {
    workgroupBarrier();
    let head = min(lid / SHARES, HEADS - 1u);
    let share = lid % SHARES;
    var scores: array<f32, PER_SHARE>;
    if lid < HEADS * SHARES {
        for (var j = 0u; j < PER_SHARE; j = j + 1u) { // unrolled
            // Those behind the end get the first one's score, which changes no maximum.
            let p = share * PER_SHARE + j;
            let at = select(0u, p, p < n);
            let low = value_parts[unit * JOINED][score_place(at, 0u)][head] + value_parts[unit * JOINED][score_place(at, 1u)][head];
            let high = value_parts[unit * JOINED][score_place(at, 2u)][head] + value_parts[unit * JOINED][score_place(at, 3u)][head];
            scores[j] = (low + high) * scale;
        }
        share_max[unit + head][share] = max(max(scores[0], scores[1]), max(scores[2], scores[3]));
    }
    workgroupBarrier();
    if lid < HEADS * SHARES {
        let largest = chunk_max(unit + head);
        for (var j = 0u; j < PER_SHARE; j = j + 1u) { // unrolled
            let p = share * PER_SHARE + j;
            scores[j] = select(0.0, exp(scores[j] - largest), p < n);
            chunk_weights[unit + head][p] = scores[j];
        }
        share_sum[unit + head][share] = (scores[0] + scores[1]) + (scores[2] + scores[3]);
    }
    workgroupBarrier();
}

// Weighted values of all heads.
fn sum_values(lid: u32, unit: u32, n: u32, loaded: array<vec4<f32>, VALUE_STEPS>) -> array<vec4<f32>, HEADS> {
    let slice = lid / QUADS;
    var values = loaded;
    var sums: array<vec4<f32>, HEADS>;
    for (var h = 0u; h < HEADS; h = h + 1u) { // unrolled
        sums[h] = vec4<f32>(0.0);
        for (var j = 0u; j < VALUE_STEPS; j = j + 1u) { // unrolled
            let p = slice + j * SLICES;
            if p < n { sums[h] = fma(vec4<f32>(chunk_weights[unit + h][p]), values[j], sums[h]); }
        }
    }
    return sums;
}

// Leaves an invocation's weighted values of JOINED heads from `first` on, for joined_quad behind the barrier.
fn leave_values(lid: u32, unit: u32, first: u32, parts: array<vec4<f32>, HEADS>) {
    var part = parts;
    for (var h = 0u; h < JOINED; h = h + 1u) { // unrolled
        value_parts[unit * JOINED + h][lid] = part[first + h];
    }
    workgroupBarrier();
}

// A quad of the weighted values of the `row`-th of JOIN_UNITS. A barrier comes before the next ones are left.
fn joined_quad(row: u32, column: u32) -> vec4<f32> {
    var sum = value_parts[row][column];
    for (var j = 0u; j < OTHER_SLICES; j = j + 1u) { // unrolled
        sum = sum + value_parts[row][column + (j + 1u) * QUADS];
    }
    return sum;
}
