//! A folder of the file system.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Source;
use crate::Error;

/// The files of one folder. Each file is opened once and read at the wanted place, without moving a shared position.
#[derive(Debug)]
pub struct FolderSource {
    folder: PathBuf,
    open: Mutex<BTreeMap<String, Arc<File>>>,
}

impl FolderSource {
    /// A source over `folder`.
    ///
    /// # Errors
    /// If `folder` is not a folder that can be read.
    pub fn new(folder: &Path) -> Result<FolderSource, Error> {
        let io = |source| Error::Io {
            action: "read",
            path: folder.to_path_buf(),
            source,
        };
        if !folder.metadata().map_err(io)?.is_dir() {
            return Err(io(std::io::ErrorKind::NotADirectory.into()));
        }
        Ok(FolderSource {
            folder: folder.to_path_buf(),
            open: Mutex::default(),
        })
    }

    fn file(&self, name: &str) -> Result<Arc<File>, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(name) {
            return Ok(Arc::clone(file));
        }
        let path = self.folder.join(name);
        let file = File::open(&path).map_err(|source| Error::Io {
            action: "read",
            path,
            source,
        })?;
        let file = Arc::new(file);
        open.insert(name.to_string(), Arc::clone(&file));
        Ok(file)
    }
}

impl Source for FolderSource {
    /// Names that are not Unicode are left out: no checkpoint has such.
    fn files(&self) -> Result<Vec<String>, Error> {
        let io = |source| Error::Io {
            action: "list",
            path: self.folder.clone(),
            source,
        };
        let mut files = Vec::new();
        for entry in self.folder.read_dir().map_err(io)? {
            let entry = entry.map_err(io)?;
            // Links count as what they point to: download tools keep the files elsewhere.
            let is_file = entry.path().metadata().is_ok_and(|found| found.is_file());
            if let (true, Ok(name)) = (is_file, entry.file_name().into_string()) {
                files.push(name);
            }
        }
        Ok(files)
    }

    fn len(&self, file: &str) -> Result<Option<u64>, Error> {
        let path = self.folder.join(file);
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Err(Error::Io {
                action: "read",
                path,
                source: std::io::ErrorKind::InvalidInput.into(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io {
                action: "read",
                path,
                source,
            }),
        }
    }

    fn read_at(&self, file: &str, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let open = self.file(file)?;
        read_exact_at(&open, offset, buffer).map_err(|source| Error::Io {
            action: "read",
            path: self.folder.join(file),
            source,
        })
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> std::io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => {
                buffer = &mut buffer[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}
