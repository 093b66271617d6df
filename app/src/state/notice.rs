//! Things the person should read once.

/// Something the person should read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Chats were read from a file.
    Imported(ImportReport),
    /// A file could not be read as chats; nothing was changed.
    ImportFailed {
        /// Technical line.
        detail: String,
    },
    /// A chat or all chats could not be written to a file.
    ExportFailed {
        /// Technical line.
        detail: String,
    },
    /// A file was made without some of the chats, or with only a part of them, because they could not be read.
    ExportedInPart {
        /// How many chats are not in it completely.
        incomplete: u32,
    },
    /// A file was made that is too large to be imported again.
    ExportTooLarge {
        /// Its length.
        bytes: u64,
    },
    /// Files were dropped that nobody could look at then.
    FilesLeft,
    /// Not everything could be erased.
    EraseFailed {
        /// Technical line.
        detail: String,
    },
    /// A model could not be deleted.
    DeleteFailed {
        /// Technical line.
        detail: String,
    },
    /// A text did not get into the clipboard.
    CopyFailed {
        /// Technical line.
        detail: String,
    },
    /// The model was started with a shorter context.
    Smaller {
        /// Tokens that it can remember now.
        context: u32,
        /// Whether it remembers them less exactly.
        is_rounded: bool,
        /// Why.
        because: Setback,
    },
    /// A model was downloaded for later.
    ModelFetched {
        /// Its name.
        name: String,
    },
    /// A model was deleted.
    ModelDeleted {
        /// Bytes that became free.
        bytes: u64,
    },
}

/// Why no file was made by a worker that has ended.
pub(super) const WORKER_REPLACED: &str = "the worker that made it was replaced: try again";

/// What led to a smaller configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Setback {
    /// The GPU failed several times.
    #[default]
    Gpu,
    /// There was not enough memory.
    Memory,
    /// The worker ended or fell silent several times.
    Worker,
    /// The system closed several pages.
    Killed,
}

/// What came of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportReport {
    /// Chats that were not there before.
    pub added: u32,
    /// Chats that were there and were older than the file's.
    pub updated: u32,
    /// Chats that were there already.
    pub unchanged: u32,
    /// Chats of the file that are not usable.
    pub rejected: u32,
}
