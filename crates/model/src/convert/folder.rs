//! Packages as folders: written beside their place under a temporary name, moved there at the end.

use std::ffi::OsString;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::{ConvertOptions, Progress, Sink, convert};
use crate::manifest::MANIFEST_FILE;
use crate::source::FolderSource;
use crate::{Error, Manifest};

/// A folder that becomes a package when it is finished, and disappears if it is dropped before.
#[derive(Debug)]
pub struct FolderSink {
    target: PathBuf,
    temporary: PathBuf,
    /// Folders above `target` that were made for it, deepest first.
    new_parents: Vec<PathBuf>,
    may_replace: bool,
    is_finished: bool,
}

impl FolderSink {
    /// Begins a package that will appear at `target`. With `may_replace`, a package that is there already is replaced at
    /// the end; anything else that is there is never touched.
    ///
    /// # Errors
    /// If `target` exists and may not be replaced, or the temporary folder beside it cannot be made.
    pub fn create(target: &Path, may_replace: bool) -> Result<FolderSink, Error> {
        check_target(target, may_replace)?;
        let name = target.file_name().ok_or_else(|| Error::Io {
            action: "create",
            path: target.to_path_buf(),
            source: std::io::ErrorKind::InvalidInput.into(),
        })?;
        let parent = target
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Io {
                action: "create",
                path,
                source,
            }
        };
        let temporary = beside(parent, name, "partial");
        let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let new_parents = parent
            .ancestors()
            .take_while(is_new)
            .map(Path::to_path_buf)
            .collect();
        // From here on whatever was made is removed when the sink is dropped unfinished.
        let sink = FolderSink {
            target: target.to_path_buf(),
            temporary,
            new_parents,
            may_replace,
            is_finished: false,
        };
        fs::create_dir_all(parent).map_err(io(parent))?;
        // The name holds this process's number, so whatever is there was left by a process that is gone.
        fs::remove_dir_all(&sink.temporary).ok();
        fs::create_dir(&sink.temporary).map_err(io(&sink.temporary))?;
        Ok(sink)
    }
}

fn check_target(target: &Path, may_replace: bool) -> Result<(), Error> {
    let is_taken = target.symlink_metadata().is_ok();
    if is_taken && !(may_replace && target.join(MANIFEST_FILE).is_file()) {
        return Err(Error::OutputExists {
            path: target.to_path_buf(),
        });
    }
    Ok(())
}

/// `parent/.NAME.PROCESS.suffix`
fn beside(parent: &Path, name: &std::ffi::OsStr, suffix: &str) -> PathBuf {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.{suffix}", std::process::id()));
    parent.join(hidden)
}

impl Sink for FolderSink {
    fn write_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.temporary.join(name);
        fs::write(&path, bytes).map_err(|source| Error::Io {
            action: "write",
            path,
            source,
        })
    }

    fn finish(&mut self) -> Result<(), Error> {
        check_target(&self.target, self.may_replace)?;
        let rename = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(|source| Error::Io {
                action: "rename",
                path: from.to_path_buf(),
                source,
            })
        };
        if self.target.symlink_metadata().is_err() {
            rename(&self.temporary, &self.target)?;
            self.is_finished = true;
            return Ok(());
        }
        // A folder cannot be replaced in one step: move the old package aside, and back if the new one cannot take its place.
        let old = self.temporary.with_extension("old");
        rename(&self.target, &old)?;
        if let Err(error) = rename(&self.temporary, &self.target) {
            rename(&old, &self.target)?;
            return Err(error);
        }
        self.is_finished = true;
        fs::remove_dir_all(&old).map_err(|source| Error::Io {
            action: "remove",
            path: old,
            source,
        })
    }
}

impl Drop for FolderSink {
    fn drop(&mut self) {
        if !self.is_finished {
            fs::remove_dir_all(&self.temporary).ok();
            // Only empty folders can be removed like this, so that nothing of anybody else is lost.
            self.new_parents
                .iter()
                .all(|folder| fs::remove_dir(folder).is_ok());
        }
    }
}

/// Converts the checkpoint in folder `input` into a package at `output`. Nothing is left behind on error.
///
/// # Errors
/// As [`FolderSink::create`] and [`convert`].
pub fn convert_folder(
    input: &Path,
    output: &Path,
    may_replace: bool,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Manifest, Error> {
    let source = FolderSource::new(input)?;
    let mut sink = FolderSink::create(output, may_replace)?;
    convert(&source, &mut sink, options, progress)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use fixtures::TempDir;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_package_appears_whole_or_not_at_all() {
        let folder = TempDir::new("sink");
        let target = folder.path().join("made/out");
        let mut sink = FolderSink::create(&target, false).unwrap();
        sink.write_file("a", b"1").unwrap();
        assert!(!target.exists());
        drop(sink);
        assert_eq!(names(folder.path()), Vec::<String>::new());

        let mut sink = FolderSink::create(&target, false).unwrap();
        sink.write_file("a", b"1").unwrap();
        sink.finish().unwrap();
        drop(sink);
        assert_eq!(names(&folder.path().join("made")), ["out"]);
        assert_eq!(names(&target), ["a"]);
    }

    #[test]
    fn only_a_package_is_replaced_and_only_on_request() {
        let folder = TempDir::new("sink-replace");
        let target = folder.path().join("out");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("precious"), "x").unwrap();
        assert!(matches!(
            FolderSink::create(&target, true),
            Err(Error::OutputExists { .. })
        ));
        fs::write(target.join(MANIFEST_FILE), "{}").unwrap();
        assert!(matches!(
            FolderSink::create(&target, false),
            Err(Error::OutputExists { .. })
        ));
        let mut sink = FolderSink::create(&target, true).unwrap();
        sink.write_file("new", b"1").unwrap();
        sink.finish().unwrap();
        assert_eq!(names(&target), ["new"]);
        assert_eq!(names(folder.path()), ["out"]);
    }
}
