// The moving part of a run, the same for all kernels of a submit. Written by the CPU before a prefill chunk and advanced
// on the GPU by `sample`, so that decode steps can be queued before their token is known.
struct Step {
    pos: u32,       // position of the first token of this run
    n_tokens: u32,  // tokens in this run
    logit_row: u32, // first row of this run whose logits are wanted
    n_logits: u32,  // number of such rows
}
@group(0) @binding(1) var<uniform> step: Step;
