//! A package as one file: an uncompressed tar archive (POSIX ustar) with `manifest.json` first, then the other files of the
//! package's folder. `tar xf` makes the folder of it, `tar cf` makes it of the folder.
//!
//! Archives come from anywhere, so [`IndexReader`] believes nothing: it is handed one header after the other, says itself where
//! the next one has to lie, and holds nothing but names and places. The bytes of the files are read by whoever has the archive.

mod header;

use std::collections::HashMap;
use std::ops::Range;

use crate::Manifest;
use crate::error::ArchiveError;
use crate::manifest::{FileHash, MANIFEST_FILE};
pub(crate) use header::MAX_NAME_BYTES;

use header::Header;

/// Headers have this length, and files are filled up with zeros to a multiple of it.
pub const BLOCK_BYTES: usize = 512;
/// Zeros behind the last file.
pub const END_BYTES: usize = 2 * BLOCK_BYTES;
/// How the names of archives end.
pub const ARCHIVE_SUFFIX: &str = ".tern.tar";

/// Most entries: as many as a manifest may have shards, and what may lie beside them.
const MAX_ENTRIES: usize = 66_000;
/// Most characters of an archive's name before its ending.
const MAX_STEM: usize = 80;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// The files of a package in the order of its archive, behind the manifest.
pub fn files(manifest: &Manifest) -> impl Iterator<Item = &FileHash> {
    let tokenizer = manifest.text.as_ref().map(|text| &text.tokenizer);
    tokenizer.into_iter().chain(&manifest.shards)
}

/// What an archive of a model of this name is called.
#[must_use]
pub fn file_name(model: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let plain = model.chars().map(|c| if is_plain(c) { c } else { '-' });
    let stem: String = plain.take(MAX_STEM).collect();
    let stem = stem.trim_matches(['-', '.']);
    match stem {
        "" => format!("model{ARCHIVE_SUFFIX}"),
        stem => format!("{stem}{ARCHIVE_SUFFIX}"),
    }
}

/// The header in front of a file.
///
/// # Errors
/// If the name has more than 100 bytes or a slash, or the file 8 GiB or more.
pub fn header(name: &str, bytes: u64) -> Result<[u8; BLOCK_BYTES], ArchiveError> {
    header::write(name, bytes)
}

/// How many zeros follow a file of `bytes`.
#[must_use]
pub fn padding(bytes: u64) -> usize {
    // Less than a block.
    (BLOCK - 1 - bytes.wrapping_add(BLOCK - 1) % BLOCK) as usize
}

/// Where the files of an archive lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// What is in front of the names of the package's files: nothing, or a folder with its slash.
    folder: String,
    manifest: Range<u64>,
    /// Places by name.
    places: HashMap<String, Range<u64>>,
}

impl Index {
    /// Where the manifest lies.
    #[must_use]
    pub fn manifest(&self) -> Range<u64> {
        self.manifest.clone()
    }

    /// Where a file of the package lies.
    ///
    /// # Errors
    /// If it is not there, or has another length.
    pub fn find(&self, file: &FileHash) -> Result<Range<u64>, ArchiveError> {
        let found = self.places.get(&format!("{}{}", self.folder, file.file));
        let place = found.ok_or_else(|| ArchiveError::Missing {
            file: file.file.clone(),
        })?;
        let got = place.end - place.start;
        if got != file.bytes {
            return Err(ArchiveError::Length {
                file: file.file.clone(),
                expected: file.bytes,
                got,
            });
        }
        Ok(place.clone())
    }
}

/// Reads the headers of an archive, one after the other.
#[derive(Debug)]
pub struct IndexReader {
    archive_bytes: u64,
    /// Where the next header lies.
    at: u64,
    n_headers: usize,
    n_zeros: usize,
    index: Index,
}

impl IndexReader {
    /// For an archive of so many bytes.
    #[must_use]
    pub fn new(archive_bytes: u64) -> IndexReader {
        IndexReader {
            archive_bytes,
            at: 0,
            n_headers: 0,
            n_zeros: 0,
            index: Index {
                folder: String::new(),
                manifest: 0..0,
                places: HashMap::new(),
            },
        }
    }

    /// Where the next [`BLOCK_BYTES`] lie that [`IndexReader::push`] wants; `None` behind the last ones.
    ///
    /// # Errors
    /// If the archive ends before that.
    pub fn next_block(&self) -> Result<Option<u64>, ArchiveError> {
        if self.n_zeros == END_BYTES / BLOCK_BYTES {
            return Ok(None);
        }
        self.check_length(self.at.saturating_add(BLOCK))?;
        Ok(Some(self.at))
    }

    /// Takes the bytes of the next header.
    ///
    /// # Errors
    /// If they are none, or of something that a package's archive can't have.
    pub fn push(&mut self, block: &[u8; BLOCK_BYTES]) -> Result<(), ArchiveError> {
        let at = self.at;
        let header = header::read(block, at)?;
        self.at = at.saturating_add(BLOCK);
        if header != Header::Zeros && self.n_zeros > 0 {
            let what = "something behind the end of the archive";
            return Err(ArchiveError::Header { at, what });
        }
        self.n_headers += 1;
        if self.n_headers > MAX_ENTRIES {
            return Err(ArchiveError::TooMany { limit: MAX_ENTRIES });
        }
        match header {
            Header::Zeros => self.n_zeros += 1,
            Header::Folder(name) => drop(plain_name(&name)?),
            Header::File { name, bytes } => self.file(&name, bytes)?,
        }
        Ok(())
    }

    fn file(&mut self, written: &str, bytes: u64) -> Result<(), ArchiveError> {
        let name = plain_name(written)?;
        let is_first = self.index.places.is_empty();
        if is_first {
            let folder = name.strip_suffix(MANIFEST_FILE).filter(|folder| {
                // At most one folder: the package's own.
                folder.is_empty() || folder.find('/') == Some(folder.len() - 1)
            });
            let folder = folder.ok_or_else(|| ArchiveError::NoManifest {
                first: name.clone(),
            })?;
            self.index.folder = folder.to_owned();
        }
        if self.index.places.contains_key(&name) {
            return Err(ArchiveError::Twice { name });
        }
        // Both numbers are far below 2^63.
        let end = self.at + bytes;
        self.check_length(end)?;
        if is_first {
            self.index.manifest = self.at..end;
        }
        self.index.places.insert(name, self.at..end);
        self.at = end + padding(bytes) as u64;
        Ok(())
    }

    fn check_length(&self, needed: u64) -> Result<(), ArchiveError> {
        if needed <= self.archive_bytes {
            return Ok(());
        }
        Err(ArchiveError::Truncated {
            needed,
            got: self.archive_bytes,
        })
    }

    /// What was read, once there is no next block.
    ///
    /// # Errors
    /// If there is no file at all.
    pub fn finish(self) -> Result<Index, ArchiveError> {
        if self.index.places.is_empty() {
            let first = "missing".to_owned();
            return Err(ArchiveError::NoManifest { first });
        }
        Ok(self.index)
    }
}

/// A name without `./` in front, if it leads to somewhere in the archive's own folder.
fn plain_name(written: &str) -> Result<String, ArchiveError> {
    let name = written.strip_prefix("./").unwrap_or(written);
    let name = name.strip_suffix('/').unwrap_or(name);
    let is_plain = |part: &str| {
        !matches!(part, "" | "." | "..") && !part.contains(|c: char| c == '\\' || c.is_control())
    };
    // The folder itself is `./`.
    if written == "./" || written == "." || name.split('/').all(is_plain) {
        return Ok(name.to_owned());
    }
    Err(ArchiveError::Name {
        name: written.to_owned(),
    })
}
