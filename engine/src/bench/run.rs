//! A loaded model as a whole: kernels, decode and prefill speed, memory, checks.

use super::agree::{agree_at, same_tokens};
use super::check::{Check, check_program};
use super::kernels::{Phase, Run, Timed, gpu, time_run};
use super::read::{ReadSpeed, read_speed};
use super::report::{DecodeSpeed, LoadTime, Options, PrefillSpeed, Report};
use super::timer::median;
use crate::exec::{Dispatch, Program};
use crate::ops::{Step, Tuning};
use crate::{Error, Executor, Sampling, Session};
use std::ops::ControlFlow;

/// Tokens of the prompt on which kernels and paths are checked: short, the CPU computes it too.
pub(super) const CHECK_TOKENS: u32 = 5;

/// Measures a session. Its cache is overwritten, and it is greedy and empty afterwards. `progress` hears what comes next.
///
/// # Errors
/// [`Error::Order`] on the CPU, [`Error::DeviceLost`], [`Error::NonFinite`], and what measuring can give.
pub async fn run(
    session: &mut Session,
    model: &str,
    load: Option<LoadTime>,
    options: &Options,
    progress: &mut dyn FnMut(&str),
) -> Result<Report, Error> {
    session.set_sampling(Sampling::default());
    progress("reading memory");
    let read = yardstick(session, options).await?;
    progress("checking kernels against the CPU");
    let checks = check_kernels(session, options.check_bytes).await?;
    let same_tokens = same_tokens(session).await?;
    let device = gpu(&session.executor)?.device();
    let memory = session.memory();
    let mut report = Report {
        device: device.describe(),
        adapter: device.adapter_name().to_owned(),
        software: device.is_software(),
        model: model.to_owned(),
        context: session.context(),
        kv: session.plan.kv_type.name(),
        weight_bytes: memory.weight_bytes,
        kv_bytes: memory.kv_bytes,
        activation_bytes: memory.activation_bytes,
        peak_gpu_bytes: memory.weight_bytes + memory.kv_bytes + memory.activation_bytes,
        load,
        read,
        read_steadiness: 1.0,
        dispatches_per_token: 0,
        submits_per_token: 0.0,
        decode: Vec::new(),
        prefill: Vec::new(),
        prefill_chunk: (session.plan.chunk, 0.0),
        kernels: Vec::new(),
        checks,
        same_tokens,
        verified: false,
    };
    measure_decode(session, options, &mut report, progress).await?;
    measure_prefill(session, options, &mut report, progress).await?;
    progress("reading memory again");
    let again = yardstick(session, options).await?;
    conclude(&mut report, again);
    Ok(report)
}

async fn yardstick(session: &Session, options: &Options) -> Result<ReadSpeed, Error> {
    let device = gpu(&session.executor)?.device();
    read_speed(
        device,
        options.read_bytes,
        options.repetitions,
        options.clock,
    )
    .await
}

async fn measure_decode(
    session: &mut Session,
    options: &Options,
    report: &mut Report,
    progress: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let contexts = fitting(
        &options.contexts,
        session.context(),
        options.decode_tokens + 16,
    );
    for (n, &context) in contexts.iter().enumerate() {
        progress(&format!(
            "decoding {} tokens at {context}",
            options.decode_tokens
        ));
        let (tokens_per_second, submits) = decode_speed(session, context, options).await?;
        report.same_tokens &= agree_at(session, context).await?;
        let timed = time_decode(session, context, options).await?;
        report.submits_per_token = submits;
        report.dispatches_per_token = timed.dispatches;
        report.decode.push(DecodeSpeed {
            context,
            tokens: options.decode_tokens,
            tokens_per_second,
            gpu_seconds: timed.run_seconds,
            bytes: timed.bytes,
            gpu_read_ratio: 0.0,
            loop_read_ratio: 0.0,
        });
        for mut kernel in timed.kernels {
            // All kernels are told at the first context; of the others only attention and who merges it change.
            if n == 0 {
                report.kernels.push(kernel);
            } else if kernel.kernel.contains("attention") || kernel.name == "o" {
                kernel.name = format!("{} at {context}", kernel.name);
                report.kernels.push(kernel);
            }
        }
    }
    Ok(())
}

async fn measure_prefill(
    session: &mut Session,
    options: &Options,
    report: &mut Report,
    progress: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    for &tokens in &fitting(&options.prompts, session.context(), 1) {
        progress(&format!("prefilling {tokens} tokens"));
        report
            .prefill
            .push(prefill_speed(session, tokens, options).await?);
    }
    progress("timing the kernels of prefill");
    let chunk = time_chunk(session, options).await?;
    report.prefill_chunk.1 = chunk.run_seconds;
    report.kernels.extend(chunk.kernels);
    session.truncate(0);
    Ok(())
}

/// Takes the faster yardstick, fills in all ratios to it, and decides whether the report counts.
fn conclude(report: &mut Report, again: ReadSpeed) {
    let verified = report.read.verified && again.verified;
    let (first, second) = (report.read.bytes_per_second, again.bytes_per_second);
    report.read_steadiness = first.min(second) / first.max(second);
    if second > first {
        report.read = again;
    }
    report.read.verified = verified;
    let read = report.read.bytes_per_second;
    report
        .kernels
        .iter_mut()
        .for_each(|kernel| kernel.rate(read));
    for decode in &mut report.decode {
        let share = |seconds: f64| decode.bytes as f64 / seconds / read;
        decode.gpu_read_ratio = share(decode.gpu_seconds);
        decode.loop_read_ratio = share(1.0 / decode.tokens_per_second);
    }
    let finite = |d: &DecodeSpeed| d.gpu_seconds > 0.0 && d.tokens_per_second.is_finite();
    report.verified = verified
        && report.same_tokens
        && report.decode.iter().all(finite)
        && !report.checks.is_empty()
        && report.checks.iter().all(|check| check.passed);
}

/// The wanted sizes that leave `room` positions, or the largest that does.
fn fitting(wanted: &[u32], context: u32, room: u32) -> Vec<u32> {
    let largest = context.saturating_sub(room).max(1);
    let mut sizes: Vec<u32> = wanted
        .iter()
        .map(|size| (*size).clamp(1, largest))
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// A fixed walk over the vocabulary.
pub(super) fn prompt(session: &Session, n_tokens: u32) -> Vec<u32> {
    (0..n_tokens)
        .map(|i| i.wrapping_mul(2_654_435_761).rotate_left(11) % session.vocab())
        .collect()
}

pub(super) async fn prefill_all(session: &mut Session, tokens: &[u32]) -> Result<(), Error> {
    session
        .prefill(tokens, |_, _| ControlFlow::Continue(()))
        .await
        .map(|_| ())
}

/// One of the programs of a session.
type ProgramOf = fn(&Session) -> &Program;

async fn check_kernels(session: &mut Session, max_bytes: u64) -> Result<Vec<Check>, Error> {
    let n_tokens = CHECK_TOKENS
        .min(session.plan.chunk)
        .min(session.context().saturating_sub(1))
        .max(1);
    session.truncate(0);
    let tokens = prompt(session, n_tokens);
    let mut checks = Vec::new();
    let step = Step {
        pos: 0,
        n_tokens,
        logit_row: n_tokens - 1,
        n_logits: 1,
    };
    write_step(session, &step, &tokens)?;
    let prefill: ProgramOf = |session| &session.plan.prefill;
    let checked = check_program(session, Phase::Prefill, prefill, |_| true, &step, max_bytes);
    checks.extend(checked.await?);
    let step = Step {
        pos: n_tokens,
        n_tokens: 1,
        logit_row: 0,
        n_logits: 1,
    };
    write_step(session, &step, &tokens[..1])?;
    let decode: ProgramOf = |session| &session.plan.decode;
    let checked = check_program(session, Phase::Decode, decode, |_| true, &step, max_bytes);
    checks.extend(checked.await?);
    // What only long contexts need, as if this were one.
    let tuning = *super::kernels::gpu(&session.executor)?.tuning();
    set_tuning(
        session,
        Tuning {
            attention_sharing: 0,
            ..tuning
        },
    );
    let is_long = |dispatch: &Dispatch| dispatch.op.grid(&step, &tuning).contains(&0);
    let checked = check_program(session, Phase::Decode, decode, is_long, &step, max_bytes).await;
    set_tuning(session, tuning);
    checks.extend(checked?);
    let head: ProgramOf = |session| &session.plan.head;
    let checked = check_program(session, Phase::Decode, head, |_| true, &step, max_bytes);
    checks.extend(checked.await?);
    session.truncate(0);
    Ok(checks)
}

fn set_tuning(session: &mut Session, tuning: Tuning) {
    if let Executor::Gpu(gpu) = &mut session.executor {
        gpu.set_tuning(tuning);
    }
}

fn write_step(session: &mut Session, step: &Step, tokens: &[u32]) -> Result<(), Error> {
    let io = &session.plan.io;
    session
        .executor
        .write(io.tokens, 0, bytemuck::cast_slice(tokens))?;
    session.executor.write(io.step, 0, bytemuck::bytes_of(step))
}

/// Tokens a second and submits a token.
async fn decode_speed(
    session: &mut Session,
    context: u32,
    options: &Options,
) -> Result<(f64, f64), Error> {
    let tokens = prompt(session, context);
    let group = session.steps_per_submit() as usize;
    let mut speeds = Vec::new();
    let mut submits_per_token = 0.0;
    for _ in 0..options.repetitions.max(1) {
        prefill_all(session, &tokens).await?;
        // The first token ends the prefill. Steps of a submit are read together, and submits end at multiples of as many
        // positions: from the end of one to the end of another, nothing is waited for that is not counted.
        session.next_token().await?;
        while !session.tokens().len().is_multiple_of(group) {
            session.next_token().await?;
        }
        let submits = gpu(&session.executor)?.submits();
        let start = (options.clock)();
        let mut made = 0;
        while made < options.decode_tokens || !session.tokens().len().is_multiple_of(group) {
            session.next_token().await?;
            made += 1;
        }
        speeds.push(f64::from(made) / ((options.clock)() - start));
        submits_per_token = (gpu(&session.executor)?.submits() - submits) as f64 / f64::from(made);
        session.truncate(context);
    }
    Ok((median(&speeds), submits_per_token))
}

/// Time to the first token of a prompt in an empty cache.
async fn prefill_speed(
    session: &mut Session,
    n_tokens: u32,
    options: &Options,
) -> Result<PrefillSpeed, Error> {
    let tokens = prompt(session, n_tokens);
    let mut seconds = Vec::new();
    // The first one warms up.
    for repetition in 0..=options.repetitions.max(1) {
        session.truncate(0);
        session.executor.flush().await?;
        let start = (options.clock)();
        prefill_all(session, &tokens).await?;
        session.next_token().await?;
        if repetition > 0 {
            seconds.push((options.clock)() - start);
        }
    }
    session.truncate(0);
    let first_token_seconds = median(&seconds);
    Ok(PrefillSpeed {
        tokens: n_tokens,
        first_token_seconds,
        tokens_per_second: f64::from(n_tokens) / first_token_seconds,
    })
}

async fn time_decode(
    session: &mut Session,
    context: u32,
    options: &Options,
) -> Result<Timed, Error> {
    let tokens = prompt(session, context);
    prefill_all(session, &tokens).await?;
    session.executor.flush().await?;
    let step = Step {
        pos: context,
        n_tokens: 1,
        logit_row: 0,
        n_logits: 1,
    };
    let timed = time(session, Phase::Decode, step, options).await?;
    session.truncate(context);
    Ok(timed)
}

async fn time_chunk(session: &mut Session, options: &Options) -> Result<Timed, Error> {
    session.truncate(0);
    let n_tokens = session.plan.chunk;
    let tokens = prompt(session, n_tokens);
    let step = Step {
        pos: 0,
        n_tokens,
        logit_row: n_tokens - 1,
        n_logits: 1,
    };
    write_step(session, &step, &tokens)?;
    time(session, Phase::Prefill, step, options).await
}

async fn time(
    session: &mut Session,
    phase: Phase,
    step: Step,
    options: &Options,
) -> Result<Timed, Error> {
    time_run(
        session,
        &Run {
            phase,
            step,
            repetitions: options.repetitions.max(1),
            clock: options.clock,
        },
    )
    .await
}
