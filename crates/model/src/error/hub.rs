//! What can go wrong with addresses of models and with what a model hub says.

use super::shown;

/// Why an address or a repository cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The text is neither a name nor an address.
    #[error(
        "{} is no address of a model: write owner/name, or an address that begins with https://",
        shown(text)
    )]
    Address {
        /// What was written.
        text: String,
    },
    /// The address would send what it brings over the network in the clear.
    #[error(
        "{} cannot be used: models come over https only (http is allowed on this device itself)",
        shown(address)
    )]
    NotSecure {
        /// The address.
        address: String,
    },
    /// A part of the address holds characters or a length that no repository has.
    #[error(
        "the {part} {} is not valid: letters, digits, '.', '-' and '_' are allowed, 1 to {limit} of them",
        shown(text)
    )]
    Name {
        /// `owner`, `name` or `revision`.
        part: &'static str,
        /// What was written.
        text: String,
        /// Most characters.
        limit: usize,
    },
    /// An https address that says neither what it is nor where its files are.
    #[error(
        "{} is neither a repository, nor a file that ends in .gguf, nor a folder that ends in / (a package of this app)",
        shown(address)
    )]
    NotAModel {
        /// The address.
        address: String,
    },
    /// The hub's list of files does not have the form that it should have.
    #[error("the hub's list of files cannot be read: {}", shown(reason))]
    Listing {
        /// Where and why.
        reason: String,
    },
    /// The list of files is longer than any model needs.
    #[error("the repository has more than {limit} {what}; a model has fewer")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The hub wants to know who asks.
    #[error(
        "the repository gives its files only to people who have signed in and accepted its terms, which this app cannot do; download them elsewhere and open them as files"
    )]
    Gated,
    /// A file has a length that cannot be right.
    #[error(
        "the hub says that file {} has {bytes} bytes; at most {limit} can be used",
        shown(file)
    )]
    FileLength {
        /// The file.
        file: String,
        /// Its length.
        bytes: u64,
        /// Longest file.
        limit: u64,
    },
    /// There is nothing to convert.
    #[error(
        "the repository holds no weights that can be read: a model needs config.json with model.safetensors (or its index and shards), or a file that ends in .gguf"
    )]
    NoWeights,
    /// The weights are only there in a form that is cut into several files.
    #[error(
        "the weights are cut into several GGUF files ({}), which cannot be read by this version; supported: one GGUF file",
        shown(file)
    )]
    SplitGguf {
        /// One of them.
        file: String,
    },
}
