//! A version of a repository.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::Repository;

/// Endings of the files that repositories keep apart from their history, as `.gitattributes` says on the hub.
const LARGE: [&str; 3] = [".safetensors", ".bin", ".gguf"];
/// Other files are kept apart from this length on.
const LARGE_BYTES: u64 = 10 << 20;

/// A file of a commit.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Whether it is kept in the store.
    pub(super) is_large: bool,
}

impl Entry {
    /// What stands for it in the history: on the hub a SHA-1, here digits of the same form.
    pub(super) fn blob_id(&self) -> &str {
        &self.sha256[..40]
    }

    /// What the hub calls this version of the file.
    pub(super) fn version(&self) -> &str {
        if self.is_large {
            &self.sha256
        } else {
            self.blob_id()
        }
    }
}

/// What a repository held at a time.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    /// Its name: 40 hexadecimal digits that depend on everything in it.
    pub(super) sha: String,
    pub(super) files: BTreeMap<String, Entry>,
    pub(super) license: Option<String>,
    pub(super) gated: bool,
}

impl Commit {
    pub(super) fn read(name: &str, repository: Repository) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        let mut whole = Sha256::new();
        whole.update(name);
        for entry in fs::read_dir(&repository.folder)? {
            let path = entry?.path();
            if let (true, Some(name)) = (path.is_file(), path.file_name()) {
                let name = name.to_string_lossy().into_owned();
                let bytes = path.metadata()?.len();
                let is_large =
                    bytes >= LARGE_BYTES || LARGE.iter().any(|ending| name.ends_with(ending));
                let entry = Entry {
                    sha256: hash(&path)?,
                    path,
                    bytes,
                    is_large,
                };
                files.insert(name, entry);
            }
        }
        for (name, entry) in &files {
            whole.update(format!("{name} {}\n", entry.sha256));
        }
        Ok(Self {
            sha: hex(&whole.finalize())[..40].to_owned(),
            files,
            license: repository.license,
            gated: repository.gated,
        })
    }
}

/// SHA-256 of a file, which may not fit into memory.
fn hash(path: &std::path::Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let n_bytes = file.read(&mut piece)?;
        if n_bytes == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&piece[..n_bytes]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
