// Activations copied to workgroup memory first. Same signatures as act_storage.wgsl.
override ACT_LEN: u32 = 1u; // columns / 16

var<workgroup> act_scratch: array<vec4<u32>, ACT_LEN>;

fn prepare_act(lid: u32, n: u32) {
    for (var i = lid; i < n; i = i + WG) {
        act_scratch[i] = q[i];
    }
    workgroupBarrier();
}

fn act(i: u32) -> vec4<u32> {
    return act_scratch[i];
}
