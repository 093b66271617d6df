//! Feeds broken inputs to the readers for a while; `cargo xtask fuzz` runs it for each of them.
//!
//!     cargo run -p model --example fuzz -- TARGET SECONDS [SEED]
//!
//! `TARGET` is `safetensors`, `pickle`, `gguf`, `package`, `hub` (what a hub answers), or one of the first three with `stream-` in
//! front: then the files come in chunks of random sizes, as from a network, and must give what the reader of whole files gives.
//! With `network-` in front most files are right, but the network cuts them anywhere, ends them early, and gives wrong answers; an
//! input is then eight bytes that say how, and the file. Inputs are the fixtures and `tests/data/fuzz`, changed at random but
//! repeatably: the same seed gives the same inputs. A panic, an input that takes longer than ten seconds, a message of several
//! lines, or memory above a limit ends the run; the input is then in `target/fuzz`, and belongs into `tests/data/fuzz`.

#![allow(
    clippy::unwrap_used,
    reason = "a tool for developers: a file that cannot be read ends it"
)]

#[path = "../../tests/common/remote.rs"]
#[allow(dead_code, reason = "shared with the tests, which use all of it")]
mod remote;

mod mutate;
mod stream;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::Manifest;
use model::convert::{ConvertOptions, MemorySink, convert};
use model::hash::hash_bytes;
use model::manifest::MANIFEST_FILE;
use model::package::verify;
use model::source::MemorySource;

use mutate::{Random, mutate};
use stream::{LISTING, go_on, listing_it, network_it, stream_it};

/// An input that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(10);
/// Inputs are below 64 KiB, so that no reader has a reason for more.
const MAX_MEMORY: u64 = 512 * 1024 * 1024;
/// Longest message, in bytes.
const MAX_MESSAGE: usize = 2000;

/// One reader and the files that it begins with.
struct Target {
    /// Files that stay as they are.
    base: MemorySource,
    /// The file that is changed.
    file: String,
    seeds: Vec<Vec<u8>>,
    /// Whether an input begins with a number that says what else goes wrong. Then most files are right.
    is_scripted: bool,
    /// Reads the files; the number is 0 where there is none.
    run: fn(&MemorySource, u64) -> Result<(), String>,
}

/// Bytes of that number.
const SCRIPT_BYTES: usize = 8;

impl Target {
    fn input(&self, random: &mut Random) -> Vec<u8> {
        if !self.is_scripted {
            return mutate(random, &self.seeds);
        }
        let script = random.next().to_le_bytes();
        let file = if random.below(4) == 0 {
            mutate(random, &self.seeds)
        } else {
            self.seeds[0].clone()
        };
        [&script[..], &file].concat()
    }

    fn run(&self, input: &[u8]) -> Result<(), String> {
        let n_script = if self.is_scripted { SCRIPT_BYTES } else { 0 };
        let (script, file) = input.split_at(n_script.min(input.len()));
        let script = script.try_into().map_or(0, u64::from_le_bytes);
        let mut source = self.base.clone();
        source.insert(&self.file, file.to_vec());
        (self.run)(&source, script)
    }
}

fn convert_it(source: &MemorySource, _: u64) -> Result<(), String> {
    let mut sink = MemorySink::default();
    let options = ConvertOptions::new("fuzz");
    let converted = convert(source, &mut sink, &options, &mut go_on);
    converted.map(drop).map_err(|error| error.to_string())
}

/// Verifies a package whose shard has the hash that the manifest states, so that its pieces are looked at.
fn verify_it(source: &MemorySource, _: u64) -> Result<(), String> {
    let verified = verify(source, &mut |_, _| ControlFlow::Continue(()));
    verified.map_err(|error| error.to_string())?;
    let Some(shard) = source.get("weights-00000.bin") else {
        return Ok(());
    };
    let manifest = Manifest::from_json(source.get(MANIFEST_FILE).unwrap_or_default());
    let mut manifest = manifest.map_err(|error| error.to_string())?;
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
    if let Some(reader) = name.strip_prefix("network-") {
        return Target {
            is_scripted: true,
            run: network_it,
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
            is_scripted: false,
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
            is_scripted: false,
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
                is_scripted: false,
                run: verify_it,
            }
        }
        "hub" => Target {
            base: MemorySource::default(),
            file: LISTING.to_string(),
            seeds: Vec::new(),
            is_scripted: false,
            run: listing_it,
        },
        other => panic!("unknown target {other}"),
    };
    target.seeds.extend(corpus(name));
    target
}

/// Inputs that are worth keeping.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = fixtures::workspace_root().join("tests/data/fuzz");
    files_ending(&folder.join(name), "")
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
    // What is kept as it was found comes first; where inputs are files alone, it is among the seeds as well.
    let mut kept = corpus(name).into_iter();
    while start.elapsed() < Duration::from_secs(seconds) {
        let input = kept.next().unwrap_or_else(|| target.input(&mut random));
        *current() = Some((Instant::now(), input.clone()));
        let result = std::panic::catch_unwind(|| target.run(&input));
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
