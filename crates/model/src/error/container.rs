//! What can be wrong with the files around tensors.

/// A GGUF file, a zip archive or a pickle that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// A length in a GGUF file that does not fit the file.
    #[error(
        "file {file}: {what} claims a length of {length}, but only {left} bytes of the file are left; the file is truncated or damaged"
    )]
    GgufLength {
        /// File name.
        file: String,
        /// What claims it: a key, a tensor, a number.
        what: String,
        /// Length that the file claims.
        length: u64,
        /// Bytes left.
        left: u64,
    },
    /// A zip archive that cannot be read.
    #[error("file {file}: the zip archive cannot be read: {what}")]
    Zip {
        /// File name.
        file: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An opcode that a pickle of tensors does not need. Nothing of the file was executed.
    #[error(
        "file {file}, byte {at} of its pickle: opcode {opcode:#04x} ({name}) is not allowed in a file of tensors; save it with torch.save and pickle protocol 2, or as safetensors"
    )]
    PickleOpcode {
        /// File name.
        file: String,
        /// Place in the pickle.
        at: u64,
        /// The opcode.
        opcode: u8,
        /// Its name.
        name: &'static str,
    },
    /// A name that a pickle of tensors has no business with. Nothing of the file was executed.
    #[error(
        "file {file}: its pickle names {name}, which is not allowed in a file of tensors; the file may be malicious"
    )]
    PickleGlobal {
        /// File name.
        file: String,
        /// Module and name.
        name: String,
    },
    /// A pickle that is not what torch.save writes.
    #[error("file {file}, byte {at} of its pickle: expected {expected}, got {got}")]
    Pickle {
        /// File name.
        file: String,
        /// Place in the pickle.
        at: u64,
        /// What is allowed there.
        expected: &'static str,
        /// What was found.
        got: String,
    },
}
