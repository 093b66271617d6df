//! Checks that can be run on a user's device as well as in tests.

use crate::exec::Executor;
use crate::ops::{Access, Step};
use crate::ops::{cache_bytes, cache_rows};
use crate::plan::Plan;
use crate::session::{Sampling, Session};
use crate::shader::{Choice, Kernel, Target, link};
use crate::{Error, KvType, Rows, Variant};
use std::ops::ControlFlow;
use std::rc::Rc;

/// How one kernel text fared with the device's compiler.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// Kernel name.
    pub kernel: &'static str,
    /// The choice that it was linked with.
    pub choice: String,
    /// The compiler's complaint, if any.
    pub error: Option<String>,
}

/// Compiles every distinct text of every kernel that the device supports.
///
/// # Errors
/// [`Error::DeviceLost`]; a text that does not compile is a result, not an error.
pub async fn compile_all(executor: &Executor) -> Result<Vec<Compiled>, Error> {
    let Some(device) = executor.device() else {
        return Ok(Vec::new());
    };
    let mut out = Vec::new();
    for &kernel in Kernel::ALL {
        let mut seen: Vec<Choice> = Vec::new();
        for choice in all_choices().filter(|choice| device.supports(choice.variant)) {
            if seen.iter().any(|other| kernel.same_text(other, &choice)) {
                continue;
            }
            seen.push(choice);
            let text = link(kernel, &choice, Target::HERE, &[])?;
            let scope = device
                .device
                .push_error_scope(wgpu::ErrorFilter::Validation);
            compile(&device.device, kernel, text);
            let error = scope.pop().await.map(|error| error.to_string());
            device.check("compiling kernels")?;
            let choice = format!(
                "{} kv {:?} rows {:?}",
                choice.variant, choice.kv, choice.rows
            );
            out.push(Compiled {
                kernel: kernel.name(),
                choice,
                error,
            });
        }
    }
    Ok(out)
}

/// Every combination of helpers.
pub fn all_choices() -> impl Iterator<Item = Choice> {
    Variant::ALL.into_iter().flat_map(|variant| {
        KvType::ALL.into_iter().flat_map(move |kv| {
            [Rows::F16, Rows::Q8, Rows::Q6, Rows::Q4]
                .into_iter()
                .map(move |rows| Choice { variant, kv, rows })
        })
    })
}

fn compile(device: &wgpu::Device, kernel: Kernel, text: String) {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(kernel.name()),
        source: wgpu::ShaderSource::Wgsl(text.into()),
    });
    let _pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(kernel.name()),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
}

/// One comparison of [`prefill_equals_decode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equality {
    /// Length of the prompt.
    pub tokens: u32,
    /// Whether the cache was truncated and refilled in between.
    pub truncated: bool,
    /// What differs first; none when every bit is equal.
    pub difference: Option<String>,
}

/// The cache of the first positions and the logits after them.
struct State {
    kv: Rc<Vec<Vec<u8>>>,
    logits: Vec<u8>,
}

/// Compares, for each length, the state after a prefill in chunks with the state after as many single decode steps, bit for
/// bit: keys, values and the logits of the last position. Unless `cut` is 0, each length above it is compared a second time,
/// behind a cache that was cut to that many tokens, where the chunks start elsewhere. Before each prefill its place in the
/// cache is filled with wrong values, so that bits which are not written again show. Leaves the session empty and greedy.
///
/// # Errors
/// [`Error::ContextFull`] when a length exceeds the context, [`Error::DeviceLost`]; a difference is a result.
pub async fn prefill_equals_decode(
    session: &mut Session,
    lengths: &[u32],
    cut: u32,
) -> Result<Vec<Equality>, Error> {
    let mut lengths: Vec<u32> = lengths.iter().copied().filter(|&n| n > 0).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let Some(&longest) = lengths.last() else {
        return Ok(Vec::new());
    };
    let tokens = sample_tokens(longest, session.vocab());
    session.set_sampling(Sampling::default());
    session.truncate(0);
    let mut expected_logits = Vec::new();
    for &n in &lengths {
        session.replay(&tokens[..n as usize]).await?;
        expected_logits.push(read_logits(session).await?);
    }
    // A step writes its own position alone, so the last cache holds that of every length.
    let kv = Rc::new(read_kv(session).await?);
    let expected: Vec<State> = expected_logits
        .into_iter()
        .map(|logits| State {
            kv: Rc::clone(&kv),
            logits,
        })
        .collect();
    let mut out = Vec::new();
    let starts = std::iter::once(0).chain((0 < cut && cut < longest).then_some(cut));
    for start in starts {
        session.truncate(start);
        for (&n, expected) in lengths.iter().zip(&expected).filter(|(n, _)| start < **n) {
            // Whole chunks before the last are the same dispatches for every length: they are kept.
            let kept = start + (n - 1 - start) / session.plan.chunk * session.plan.chunk;
            session.truncate(kept);
            spoil_from(session, &kv, session.cached())?;
            let prompt = &tokens[..n as usize];
            out.push(compare_after_prefill(session, prompt, expected, start > 0).await?);
        }
    }
    session.truncate(0);
    Ok(out)
}

/// Fills the cache from position `first` on with the given keys and values, the lowest bit of each byte flipped: finite,
/// and wrong everywhere.
fn spoil_from(session: &mut Session, kv: &[Vec<u8>], first: usize) -> Result<(), Error> {
    let context = session.plan.context as usize;
    let ids = session.plan.io.kv.clone();
    for (id, bytes) in ids.iter().flat_map(|kv| [kv.k, kv.v]).zip(kv) {
        for (part, row_bytes) in cache_parts(&session.plan) {
            for start in part.clone().step_by(context * row_bytes) {
                let rows = start + first * row_bytes..start + context * row_bytes;
                let wrong: Vec<u8> = bytes[rows.clone()].iter().map(|byte| byte ^ 1).collect();
                session.executor.write(id, rows.start as u64, &wrong)?;
            }
        }
    }
    Ok(())
}

/// Where in the bytes of a cache its elements and its scales are, if there are any, each with the bytes of a row of a head.
fn cache_parts(plan: &Plan) -> Vec<(std::ops::Range<usize>, usize)> {
    let arch = &plan.arch;
    let rows = cache_rows(arch.kv_heads, plan.context, arch.head_dim, plan.kv_type);
    let (elements, all) = (rows.n_rows * rows.row_words() * 4, rows.words() * 4);
    [(0..elements), (elements..all)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| (part.clone(), part.len() / rows.n_rows))
        .collect()
}

async fn compare_after_prefill(
    session: &mut Session,
    prompt: &[u32],
    expected: &State,
    truncated: bool,
) -> Result<Equality, Error> {
    session
        .prefill(prompt, |_, _| ControlFlow::Continue(()))
        .await?;
    let got = State {
        kv: Rc::new(read_kv(session).await?),
        logits: read_logits(session).await?,
    };
    let tokens = u32::try_from(prompt.len()).expect("bounded by the context");
    let difference = first_difference(&session.plan, tokens, expected, &got);
    Ok(Equality {
        tokens,
        truncated,
        difference,
    })
}

/// A fixed walk over the vocabulary.
fn sample_tokens(n: u32, vocab: u32) -> Vec<u32> {
    (0..n)
        .map(|i| i.wrapping_mul(2_654_435_761).rotate_left(13) % vocab)
        .collect()
}

async fn read_logits(session: &mut Session) -> Result<Vec<u8>, Error> {
    let bytes = u64::from(session.plan.arch.vocab) * 4;
    session
        .executor
        .read(session.plan.io.logits, 0, bytes)
        .await
}

async fn read_kv(session: &mut Session) -> Result<Vec<Vec<u8>>, Error> {
    let arch = &session.plan.arch;
    let (context, kv) = (session.plan.context, session.plan.kv_type);
    let bytes = cache_bytes(arch.kv_heads, context, arch.head_dim, kv);
    let mut out = Vec::new();
    for buffers in session.plan.io.kv.clone() {
        for id in [buffers.k, buffers.v] {
            out.push(session.executor.read(id, 0, bytes).await?);
        }
    }
    Ok(out)
}

fn first_difference(plan: &Plan, n_tokens: u32, expected: &State, got: &State) -> Option<String> {
    let context = plan.context as usize;
    for (i, (expected, got)) in expected.kv.iter().zip(got.kv.iter()).enumerate() {
        for (part, row_bytes) in cache_parts(plan) {
            let rows = expected[part.clone()]
                .chunks_exact(row_bytes)
                .zip(got[part].chunks_exact(row_bytes))
                .enumerate();
            let mut written = rows.filter(|(row, _)| row % context < n_tokens as usize);
            if let Some((row, _)) = written.find(|(_, (expected, got))| expected != got) {
                let what = if i % 2 == 0 { "key" } else { "value" };
                return Some(format!(
                    "layer {} {what} of head {} at position {}",
                    i / 2,
                    row / context,
                    row % context
                ));
            }
        }
    }
    let differs = |(a, b): (&[u8], &[u8])| a != b;
    let id = expected
        .logits
        .chunks_exact(4)
        .zip(got.logits.chunks_exact(4))
        .position(differs)?;
    Some(format!("logit of token {id}"))
}

/// Everything that one dispatch wrote.
#[derive(Debug, Clone)]
pub struct Traced {
    /// Label of the dispatch, for example `layers.0.attn_in`.
    pub label: String,
    /// Kernel name.
    pub kernel: &'static str,
    /// Contents of its written buffers, in binding order.
    pub written: Vec<Vec<u8>>,
}

/// Runs `tokens` as one chunk from an empty cache, dispatch by dispatch, and returns what each wrote: for comparing with
/// golden tensors, and for finding the first step in which two executors differ. Logits are those of the last position.
///
/// # Errors
/// [`Error::ContextFull`] when the tokens do not fit one chunk, [`Error::DeviceLost`].
pub async fn trace(session: &mut Session, tokens: &[u32]) -> Result<Vec<Traced>, Error> {
    let n_tokens = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
    if n_tokens > session.plan.chunk || n_tokens == 0 {
        return Err(Error::ContextFull {
            needed: u64::from(n_tokens),
            context: session.plan.chunk,
        });
    }
    session.truncate(0);
    let step = Step {
        pos: 0,
        n_tokens,
        logit_row: n_tokens - 1,
        n_logits: 1,
    };
    let Session { executor, plan, .. } = session;
    executor.write(plan.io.tokens, 0, bytemuck::cast_slice(tokens))?;
    executor.write(plan.io.step, 0, bytemuck::bytes_of(&step))?;
    let mut out = Vec::new();
    for program in [&plan.prefill, &plan.head] {
        for (i, dispatch) in program.dispatches().iter().enumerate() {
            executor.run_range(program, i..i + 1, &step)?;
            let mut written = Vec::new();
            for (access, &id) in dispatch.op.access().iter().zip(&dispatch.buffers) {
                if *access == Access::ReadWrite {
                    let bytes = executor.buffer_bytes(id);
                    written.push(executor.read(id, 0, bytes).await?);
                }
            }
            out.push(Traced {
                label: dispatch.label.clone(),
                kernel: dispatch.op.kernel().name(),
                written,
            });
        }
    }
    Ok(out)
}
