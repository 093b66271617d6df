//! What chosen files are.

use std::collections::BTreeMap;

use model::HubError;
use model::archive::{BLOCK_BYTES, Index, IndexReader};
use model::convert::{StreamLimits, plan_remote};
use model::hub::{Choice, ChoiceKind, Listed, Listing, Place};
use model::manifest::MANIFEST_FILE;
use protocol::{Fault, FaultCode};

use super::package::Package;
use super::source::FileSource;
use super::{Checkpoint, Chosen, Kind, bad, read};
use crate::repacking::{Pinned, Stop};
use crate::{Blob as _, File as _, Host, Policy};

/// Most files that are looked at.
const MAX_FILES: usize = 10_000;
/// Where a tar archive says that it is one.
const TAR_MARK: (usize, &[u8]) = (257, b"ustar");
const TAR_SUFFIX: &str = ".tar";
/// How a GGUF file begins.
const GGUF_MARK: &[u8] = b"GGUF";
/// Bytes of the weights that tell models of the same name and length apart, with the time at which the file was changed.
const MARK_BYTES: u64 = 64 << 10;

/// Finds out what the files are.
///
/// # Errors
/// If they are no model that can be used.
pub(super) async fn look<H: Host>(
    host: &H,
    policy: &Policy,
    files: Vec<H::File>,
) -> Result<Chosen<H>, Fault> {
    if let [file] = &files[..] {
        let name = file.name();
        let start = file.slice(0..file.size().min(BLOCK_BYTES as u64));
        let start = read::<H>(&name, &start).await?.to_vec();
        if is_archive(&name, &start) {
            return archived(host, policy, file).await;
        }
        if start.starts_with(GGUF_MARK) {
            let choice = Choice {
                kind: ChoiceKind::Gguf,
                file: name.clone(),
                files: vec![name.clone()],
                bytes: file.size(),
            };
            let files = BTreeMap::from([(name, file.clone())]);
            return checkpoint(host, FileSource(files), choice).await;
        }
    }
    let files = by_name::<H>(files)?;
    if files.contains_key(MANIFEST_FILE) {
        let package = Package::of_files(host, policy, files).await?;
        return chosen(package);
    }
    let choice = choice::<H>(&files)?;
    checkpoint(host, FileSource(files), choice).await
}

fn is_archive(name: &str, start: &[u8]) -> bool {
    let (at, mark) = TAR_MARK;
    let is_marked = start.get(at..).is_some_and(|rest| rest.starts_with(mark));
    is_marked || name.to_ascii_lowercase().ends_with(TAR_SUFFIX)
}

/// An archive of a package.
async fn archived<H: Host>(host: &H, policy: &Policy, file: &H::File) -> Result<Chosen<H>, Fault> {
    let index = index::<H>(file).await?;
    let package = Package::of_archive(host, policy, file, &index).await?;
    chosen(package)
}

fn chosen<H: Host>(package: Package<H>) -> Result<Chosen<H>, Fault> {
    Ok(Chosen {
        place: Place::chosen(&package.manifest_sha256).map_err(bad)?,
        kind: Kind::Package(Box::new(package)),
    })
}

/// Reads the headers of an archive, and nothing else.
async fn index<H: Host>(file: &H::File) -> Result<Index, Fault> {
    let name = file.name();
    let mut reader = IndexReader::new(file.size());
    while let Some(at) = reader.next_block().map_err(bad)? {
        let block = file.slice(at..at.saturating_add(BLOCK_BYTES as u64));
        let block = read::<H>(&name, &block).await?.to_vec();
        let block = block.try_into().map_err(|short: Vec<u8>| {
            let got = short.len();
            bad(format!(
                "{name} has changed: expected {BLOCK_BYTES} bytes at {at}, got {got}"
            ))
        })?;
        reader.push(&block).map_err(bad)?;
    }
    reader.finish().map_err(bad)
}

fn by_name<H: Host>(files: Vec<H::File>) -> Result<BTreeMap<String, H::File>, Fault> {
    if files.is_empty() || files.len() > MAX_FILES {
        let got = files.len();
        let detail = format!("expected from 1 to {MAX_FILES} files, got {got}");
        return Err(bad(detail));
    }
    let mut by_name = BTreeMap::new();
    for file in files {
        let name = file.name();
        if name.to_ascii_lowercase().ends_with(TAR_SUFFIX) {
            let detail = format!("{name} is an archive: choose it alone, without other files");
            return Err(bad(detail));
        }
        if by_name.insert(name.clone(), file).is_some() {
            let detail = format!("two of the files are called {name}: choose those of one folder");
            return Err(bad(detail));
        }
    }
    Ok(by_name)
}

/// Which of the files make a model, as of a repository on the hub.
fn choice<H: Host>(files: &BTreeMap<String, H::File>) -> Result<Choice, Fault> {
    let listed = |(name, file): (&String, &H::File)| Listed {
        name: name.clone(),
        bytes: file.size(),
        sha256: None,
    };
    let listing = Listing {
        commit: String::new(),
        files: files.iter().map(listed).collect(),
        license: None,
    };
    let choices = listing.choices().map_err(|error| match error {
        HubError::NoWeights => bad(
            "the files are no model: expected one archive that Tern has saved, one GGUF file, or config.json with tokenizer files and model.safetensors (or its index and all its shards), chosen together",
        ),
        other => Fault::new(FaultCode::Unsupported, other.to_string()),
    })?;
    // A list without choices is an error.
    choices.into_iter().next().ok_or_else(|| bad("no model"))
}

/// Reads the headers of what is to be converted.
async fn checkpoint<H: Host>(
    host: &H,
    mut source: FileSource<H::File>,
    choice: Choice,
) -> Result<Chosen<H>, Fault> {
    source.0.retain(|name, _| choice.files.contains(name));
    let place = Place::chosen(&mark(host, &source, &choice).await?).map_err(bad)?;
    let sizes = source
        .0
        .iter()
        .map(|(name, file)| (name.clone(), file.size()));
    let pinned = Pinned::of_files(sizes, &choice);
    let limits = StreamLimits::default();
    let plan = plan_remote(&mut source, &pinned.options(), &limits).await;
    let plan = plan.map_err(incomplete)?;
    if plan.text.is_none() {
        let detail = format!("{} has no tokenizer among the chosen files", plan.name);
        return Err(Fault::new(FaultCode::NoChat, detail));
    }
    let checkpoint = Checkpoint {
        source,
        pinned,
        plan,
    };
    Ok(Chosen {
        place,
        kind: Kind::Checkpoint(Box::new(checkpoint)),
    })
}

/// The fault of files of which no plan can be made. One that was not chosen with the others is told as that.
fn incomplete(stop: Stop) -> Fault {
    match stop {
        Stop::Model(error @ model::Error::FileMissing { .. }) => {
            bad(format!("{error}: choose all files of the model together"))
        }
        stop => stop.into(),
    }
}

/// What tells these files from others: a hash over names, lengths, times, and the beginning of the weights.
async fn mark<H: Host>(
    host: &H,
    source: &FileSource<H::File>,
    choice: &Choice,
) -> Result<String, Fault> {
    let mut text = Vec::new();
    for (name, file) in &source.0 {
        let (size, time) = (file.size(), file.modified_millis());
        text.extend(format!("{name}\n{size}\n{time}\n").as_bytes());
    }
    if let Some(weights) = source.0.get(&choice.file) {
        let start = weights.slice(0..weights.size().min(MARK_BYTES));
        text.extend(read::<H>(&choice.file, &start).await?.to_vec());
    }
    let hash = host.sha256(&H::Bytes::copied(&text)).await;
    hash.map_err(bad)
}
