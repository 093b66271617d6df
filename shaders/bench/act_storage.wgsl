// Activations straight from storage: the caches hold them. Same signatures as act_workgroup.wgsl.
fn prepare_act(lid: u32, n: u32) {}

fn act(i: u32) -> vec4<u32> {
    return q[i];
}
