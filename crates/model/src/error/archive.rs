//! What can be wrong with an archive of a package.

use super::shown;

/// Why an archive cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The file is something else.
    #[error(
        "this is no tar archive: expected the word ustar in its first 512 bytes; choose a file that Tern has saved, or one that tar has made"
    )]
    NotTar,
    /// A header that tar would not write.
    #[error(
        "the archive is damaged: the header at byte {at} has {what}; copy or download the file again"
    )]
    Header {
        /// Where the header begins.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The archive ends too early.
    #[error(
        "the archive is not whole: it should have at least {needed} bytes, it has {got}; copy or download the file again"
    )]
    Truncated {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes of the file.
        got: u64,
    },
    /// Something else than a file or a folder.
    #[error(
        "the archive holds {} as a {what}, and only plain files can be read: make it with tar --format=ustar",
        shown(name)
    )]
    Kind {
        /// Its name.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// A name that would lead out of a folder, or that no file can have.
    #[error(
        "the archive holds a file with the name {}, which is not allowed: a name may not lead out of its folder",
        shown(name)
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Two files of one name.
    #[error("the archive holds {} twice; make it again", shown(name))]
    Twice {
        /// The name.
        name: String,
    },
    /// More files than a package can have.
    #[error("the archive holds more than {limit} files; a model has fewer")]
    TooMany {
        /// Most files.
        limit: usize,
    },
    /// The first file is not the manifest.
    #[error(
        "the first file of the archive must be manifest.json, it is {}: this is no model that Tern has saved, or the archive was made in another order",
        shown(first)
    )]
    NoManifest {
        /// The first file.
        first: String,
    },
    /// A file that the manifest names is not there.
    #[error("the archive lacks {}, which its manifest names", shown(file))]
    Missing {
        /// Its name.
        file: String,
    },
    /// A file has another length than the manifest says.
    #[error(
        "the archive has {got} bytes of {}, its manifest says {expected}",
        shown(file)
    )]
    Length {
        /// Its name.
        file: String,
        /// Bytes that the manifest says.
        expected: u64,
        /// Bytes in the archive.
        got: u64,
    },
    /// A name that does not fit a header.
    #[error(
        "the file name {} cannot be put into a tar archive: expected 1 to {limit} bytes without a slash",
        shown(name)
    )]
    NameLength {
        /// The name.
        name: String,
        /// Most bytes.
        limit: usize,
    },
    /// A length that does not fit a header.
    #[error(
        "file {} cannot be put into a tar archive: expected at most {limit} bytes, got {bytes}",
        shown(name)
    )]
    FileLength {
        /// The name.
        name: String,
        /// Its length.
        bytes: u64,
        /// Most bytes.
        limit: u64,
    },
}
