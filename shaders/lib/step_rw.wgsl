// The step of lib/step.wgsl as storage, for the one kernel that advances it.
struct Step {
    pos: u32,
    n_tokens: u32,
    logit_row: u32,
    n_logits: u32,
}
@group(0) @binding(1) var<storage, read_write> step: Step;
