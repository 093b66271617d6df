//! Feeds broken inputs to the readers for a while; `cargo xtask fuzz` runs it for each of them.
//!
//!     cargo run -p model --example fuzz -- TARGET SECONDS [SEED]
//!
//! `TARGET` is `safetensors`, `pickle`, `gguf`, `package`, or one of the first three with `stream-` in front: then the files come
//! in chunks of random sizes, as from a network, and must give what the reader of whole files gives. Inputs are the fixtures and
//! `tests/data/fuzz`, changed at random but repeatably: the same seed gives the same inputs. A panic, an input that takes longer
//! than ten seconds, a message of several lines, or memory above a limit ends the run; the input is then in `target/fuzz`, and
//! belongs into `tests/data/fuzz`.

#![allow(
    clippy::unwrap_used,
    reason = "a tool for developers: a file that cannot be read ends it"
)]

#[path = "../tests/common/remote.rs"]
#[allow(dead_code, reason = "shared with the tests, which use all of it")]
mod remote;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::convert::{ConvertOptions, MemorySink, StreamLimits, convert};
use model::hash::hash_bytes;
use model::manifest::MANIFEST_FILE;
use model::package::verify;
use model::source::MemorySource;
use model::{Error, Manifest};

/// An input that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(10);
/// Inputs are below 64 KiB, so that no reader has a reason for more.
const MAX_MEMORY: u64 = 512 * 1024 * 1024;
/// Longest message, in bytes.
const MAX_MESSAGE: usize = 2000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// One reader and the files that it begins with.
struct Target {
    /// Files that stay as they are.
    base: MemorySource,
    /// The file that is changed.
    file: String,
    seeds: Vec<Vec<u8>>,
    run: fn(&MemorySource) -> Result<(), Error>,
}

fn go_on(_: &model::convert::Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn convert_it(source: &MemorySource) -> Result<(), Error> {
    let mut sink = MemorySink::default();
    convert(source, &mut sink, &ConvertOptions::new("fuzz"), &mut go_on).map(drop)
}

/// Converts the files whole and as a stream: one succeeds if the other does, with the same files. Which of several faults is told
/// depends on the order in which they are met.
fn stream_it(source: &MemorySource) -> Result<(), Error> {
    let mut sink = MemorySink::default();
    let options = ConvertOptions::new("fuzz");
    let whole = convert(source, &mut sink, &options, &mut go_on);
    let limits = StreamLimits {
        waiting_bytes: 1 << 12,
        ..StreamLimits::default()
    };
    // The chunks are as random as the input, and as repeatable.
    let mut remote = remote::Remote::new(source, remote::Cut::BytesUpTo(16));
    let streamed = remote::stream_all(&mut remote, &options, &limits, &BTreeMap::new());
    match (whole, streamed) {
        (Ok(_), Ok((_, store))) => {
            let package = sink.into_source().unwrap();
            assert!(*package.files() == store.files, "another package");
            Ok(())
        }
        (Err(_), Err(error)) => Err(error),
        (Ok(_), Err(error)) => panic!("only the stream is refused: {error}"),
        (Err(error), Ok(_)) => panic!("the stream is accepted, the files are not: {error}"),
    }
}

/// Verifies a package whose shard has the hash that the manifest states, so that its pieces are looked at.
fn verify_it(source: &MemorySource) -> Result<(), Error> {
    verify(source, &mut |_, _| ControlFlow::Continue(()))?;
    let Some(shard) = source.get("weights-00000.bin") else {
        return Ok(());
    };
    let mut manifest = Manifest::from_json(source.get(MANIFEST_FILE).unwrap_or_default())?;
    if let Some(stated) = manifest.shards.first_mut() {
        let mut changed = shard.to_vec();
        let middle = changed.len() / 2;
        changed[middle] ^= 0xff;
        *stated = hash_bytes(&stated.file, &changed);
        let mut source = source.clone();
        source.insert("weights-00000.bin", changed);
        source.insert(MANIFEST_FILE, manifest.to_json());
        // Whatever this says: it must not panic.
        verify(&source, &mut |_, _| ControlFlow::Continue(())).ok();
    }
    Ok(())
}

fn folder(path: &Path) -> MemorySource {
    let files = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    MemorySource::new(files.filter(|path| path.is_file()).map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        (name, std::fs::read(path).unwrap())
    }))
}

fn target(name: &str) -> Target {
    if let Some(reader) = name.strip_prefix("stream-") {
        let run = stream_it;
        return Target {
            run,
            ..target(reader)
        };
    }
    let malformed = fixtures::path("malformed");
    let hf = |folder_name: &str, file: &str, ending: &str| {
        let base = folder(&malformed.join("base").join(folder_name));
        let whole = base.get(file).unwrap().to_vec();
        Target {
            seeds: [vec![whole], files_ending(&malformed, ending)].concat(),
            base,
            file: file.to_string(),
            run: convert_it,
        }
    };
    let mut target = match name {
        "safetensors" => hf("hf-packed", "model.safetensors", ".safetensors"),
        "pickle" => hf("hf-bin", "pytorch_model.bin", ".bin"),
        "gguf" => Target {
            base: MemorySource::default(),
            file: "model.gguf".to_string(),
            seeds: [
                vec![fixtures::bytes("malformed/base/base.gguf")],
                files_ending(&malformed, ".gguf"),
            ]
            .concat(),
            run: convert_it,
        },
        "package" => {
            let mut sink = MemorySink::default();
            let source = folder(&malformed.join("base/hf-packed"));
            convert(&source, &mut sink, &ConvertOptions::new("fuzz"), &mut go_on).unwrap();
            let base = sink.into_source().unwrap();
            Target {
                seeds: vec![base.get(MANIFEST_FILE).unwrap().to_vec()],
                base,
                file: MANIFEST_FILE.to_string(),
                run: verify_it,
            }
        }
        other => panic!("unknown target {other}"),
    };
    let corpus = fixtures::workspace_root()
        .join("tests/data/fuzz")
        .join(name);
    target.seeds.extend(files_ending(&corpus, ""));
    target
}

/// The files of a folder in alphabetical order; none if there is no folder.
fn files_ending(folder: &Path, ending: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let is_wanted = |path: &&PathBuf| path.is_file() && path.to_str().unwrap().ends_with(ending);
    let wanted = paths.iter().filter(is_wanted);
    wanted.map(|path| std::fs::read(path).unwrap()).collect()
}

/// Changes an input in one to eight places.
fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(8) {
        if bytes.is_empty() {
            bytes.push(0);
        }
        // Headers are at the front and, in archives, at the end.
        let at = match random.below(4) {
            0 => random.below(bytes.len()),
            1 => bytes.len() - 1 - random.below(bytes.len().min(2048)),
            _ => random.below(bytes.len().min(4096)),
        };
        change(random, &mut bytes, at, seeds);
    }
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, at: usize, seeds: &[Vec<u8>]) {
    let interesting = [
        0u64,
        1,
        2,
        3,
        32,
        255,
        65_535,
        1 << 31,
        1 << 32,
        1 << 62,
        1 << 63,
        u64::MAX,
    ];
    match random.below(8) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 | 3 => {
            let value = match random.below(3) {
                0 => bytes.len() as u64,
                1 => random.next() >> random.below(64),
                _ => interesting[random.below(interesting.len())],
            };
            let width = [1, 2, 4, 8][random.below(4)];
            let end = (at + width).min(bytes.len());
            bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        4 => bytes.truncate(at),
        5 => {
            let n = random.below(64).min(bytes.len() - at);
            bytes.drain(at..at + n);
        }
        6 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            let n = random.below(128).min(other.len() - from);
            bytes.splice(at..at, other[from..from + n].iter().copied());
        }
        _ => {
            // Digits of JSON, and text in general, become other text.
            let text = b"0123456789-e\"[]{}.,:/\\";
            bytes[at] = text[random.below(text.len())];
        }
    }
}

/// The largest resident memory of this process so far, where the system tells.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kilobytes.unwrap_or(0u64) * 1024
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let folder = fixtures::workspace_root().join("target/fuzz").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(&hash_bytes("", input).sha256[..16]);
    std::fs::write(&path, input).unwrap();
    path
}

/// The input at work, and when it began.
static CURRENT: Mutex<Option<(Instant, Vec<u8>)>> = Mutex::new(None);

fn current() -> MutexGuard<'static, Option<(Instant, Vec<u8>)>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process when one input takes too long.
fn watch(name: String) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let current = current();
            if let Some((_, input)) = current
                .as_ref()
                .filter(|(began, _)| began.elapsed() > LONGEST)
            {
                let path = keep(&name, input);
                eprintln!(
                    "{name}: an input takes longer than {LONGEST:?}: {}",
                    path.display()
                );
                // The thread at work cannot be stopped otherwise.
                std::process::abort();
            }
        }
    });
}

/// What was wrong with one input, if anything was.
fn judge(result: std::thread::Result<Result<(), String>>) -> Option<String> {
    match result {
        Err(_) => Some("a panic".to_string()),
        Ok(Err(message)) if message.contains('\n') || message.len() > MAX_MESSAGE => Some(format!(
            "a message of {} bytes or several lines",
            message.len()
        )),
        Ok(_) if peak_memory() > MAX_MEMORY => Some(format!("{} bytes of memory", peak_memory())),
        Ok(_) => None,
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: fuzz TARGET SECONDS [SEED]";
    let name = arguments.first().expect(usage);
    let seconds: u64 = arguments.get(1).and_then(|n| n.parse().ok()).expect(usage);
    let seed = arguments.get(2).map_or(1, |n| n.parse().expect(usage));
    let target = target(name);
    watch(name.clone());
    let mut random = Random(seed);
    let (mut n_inputs, mut n_accepted) = (0u64, 0u64);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        let input = mutate(&mut random, &target.seeds);
        *current() = Some((Instant::now(), input.clone()));
        let mut source = target.base.clone();
        source.insert(&target.file, input.clone());
        let run = target.run;
        let result = std::panic::catch_unwind(|| run(&source).map_err(|error| error.to_string()));
        n_accepted += u64::from(matches!(result, Ok(Ok(()))));
        n_inputs += 1;
        if let Some(wrong) = judge(result) {
            let path = keep(name, &input);
            eprintln!("{name}: {wrong}, input {n_inputs}: {}", path.display());
            return ExitCode::FAILURE;
        }
    }
    let memory = peak_memory() / 1_000_000;
    eprintln!(
        "{name}: {n_inputs} inputs in {seconds} s, {n_accepted} accepted, no finding, at most {memory} MB of memory"
    );
    ExitCode::SUCCESS
}
