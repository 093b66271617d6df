//! Words for models beside the one that runs: the list of known ones, the queue of downloads, checks, and what is known of each.

use protocol::{HashOrigin, LoadProgress, MemoryAt, ModelShape, VerifyReport};

use super::{bytes, count, downloaded};
use crate::KnownModel;

// ---- known models

/// Heading of the list in the settings.
pub const KNOWN_MODELS: &str = "Known models";
/// Heading of the list on the first visit.
pub const OTHER_MODELS: &str = "Other models";
/// Below the list.
pub const KNOWN_NOTE: &str = "None of these is part of Tern. Sizes are worked out from published shapes, memory for a context of 4,096 tokens where the model allows it. Look one up to see what its page says, and whether it fits this device.";
/// Button: for later.
pub const QUEUE_MODEL: &str = "Download for later";
/// State of a known model.
pub const IN_QUEUE: &str = "In the queue";
/// There is too little room for it.
pub const NO_ROOM: &str = "Not enough room in the browser's storage";

/// Label of the button that looks a known model up.
#[must_use]
pub fn look_up_model(name: &str) -> String {
    format!("{}: {name}", super::LOOK_UP)
}

/// Label of the button that has a known model downloaded for later.
#[must_use]
pub fn queue_model(name: &str) -> String {
    format!("{QUEUE_MODEL}: {name}")
}

/// Publisher, licence and needs of a known model in one line.
#[must_use]
pub fn known_facts(model: &KnownModel) -> String {
    let licence = model.license.as_deref().unwrap_or("licence not stated");
    let size = model.download_bytes.map_or_else(
        || "size unknown".to_owned(),
        |size| format!("about {}", bytes(size.get())),
    );
    let memory = bytes(model.memory_bytes());
    let context = model.context.map_or_else(String::new, |context| {
        format!(" · context {}", count(context))
    });
    format!(
        "{} · {licence} · {size} · memory {memory}{context}",
        model.publisher
    )
}

// ---- downloads

/// Heading of the queue.
pub const GROUP_DOWNLOADS: &str = "Downloads";
/// State of a model in the queue.
pub const QUEUE_WAITING: &str = "Waiting";
/// State of a model in the queue.
pub const QUEUE_RUNNING: &str = "Downloading";
/// State of a model in the queue.
pub const QUEUE_PAUSED: &str = "Paused";
/// Button.
pub const REMOVE: &str = "Remove";
/// Below the queue.
pub const DOWNLOADS_NOTE: &str = "Models come one at a time, while Tern has nothing else to do: a question always goes first. When Tern is opened again, downloads go on where they stopped.";

/// Label of a progress bar or of a button of the queue: its words, then which model.
#[must_use]
pub fn of_model(words: &str, name: &str) -> String {
    format!("{words}: {name}")
}

/// State of a model in the queue, with how far it is.
#[must_use]
pub fn queue_state(words: &str, progress: Option<&LoadProgress>, total: Option<u64>) -> String {
    match (progress, total) {
        (Some(progress), _) if progress.bytes_total.get() > 0 => {
            let (done, total) = (progress.bytes_done.get(), progress.bytes_total.get());
            format!("{words} · {}", downloaded(done, total))
        }
        (_, Some(total)) => format!("{words} · {}", bytes(total)),
        _ => words.to_owned(),
    }
}

/// A model was downloaded for later.
#[must_use]
pub fn model_fetched(name: &str) -> String {
    format!("{name} is downloaded")
}

// ---- checks

/// Button.
pub const CHECK_FILES: &str = "Check files";
/// Button that ends it.
pub const STOP_CHECK: &str = "Stop checking";
/// It is going to begin.
pub const CHECK_WAITING: &str = "Waits until nothing else is done…";
/// Above why it could not be done.
pub const CHECK_FAILED: &str = "The files could not be checked";

/// How far a check is.
#[must_use]
pub fn checking(progress: Option<&LoadProgress>) -> String {
    match progress.filter(|progress| progress.bytes_total.get() > 0) {
        Some(progress) => {
            let (done, total) = (progress.bytes_done.get(), progress.bytes_total.get());
            format!("Checking… {}", downloaded(done, total))
        }
        None => "Checking…".to_owned(),
    }
}

/// What a check found.
#[must_use]
pub fn checked(report: &VerifyReport) -> String {
    let (repaired, broken) = (report.repaired.len(), report.broken.len());
    let files = |n: usize| if n == 1 { "file" } else { "files" };
    match (repaired, broken) {
        (0, 0) => format!("All {} files are whole.", count(report.files)),
        (_, 0) => format!(
            "{repaired} {} had gone bad and {} replaced. All {} files are whole again.",
            files(repaired),
            if repaired == 1 { "was" } else { "were" },
            count(report.files)
        ),
        (0, _) => format!(
            "{broken} {} went bad and could not be replaced.",
            files(broken)
        ),
        _ => format!(
            "{repaired} {} had gone bad and {} replaced, {broken} could not be replaced.",
            files(repaired),
            if repaired == 1 { "was" } else { "were" }
        ),
    }
}

// ---- information

/// Button beside a stored model.
pub const MODEL_DETAILS: &str = "Details";
/// Title of the sheet.
pub const MODEL_INFORMATION: &str = "Model information";
/// Nothing is known.
pub const DETAILS_UNKNOWN: &str = "More is known when all of the model is here.";
/// It could not be asked for.
pub const DETAILS_GONE: &str = "Close this and open it again.";
/// Label.
pub const DETAIL_SOURCE: &str = "Address";
/// Label.
pub const DETAIL_REVISION: &str = "Revision";
/// The address names no revision.
pub const NO_REVISION: &str = "None: the address has no versions";
/// Label.
pub const DETAIL_KIND: &str = "Made from";
/// Label.
pub const DETAIL_SHAPE: &str = "Network";
/// Label.
pub const DETAIL_CODES: &str = "Ternary weights";
/// Label.
pub const DETAIL_TABLES: &str = "Embedding and head";
/// Label.
pub const DETAIL_NORMS: &str = "Norms";
/// Label.
pub const DETAIL_TOKENIZER: &str = "Tokenizer";
/// Label.
pub const DETAIL_STORED: &str = "Stored";
/// Heading.
pub const HASHES_OF_SOURCES: &str = "Hashes of the source files";
/// Heading.
pub const HASHES_OF_FILES: &str = "Hashes of the stored files";
/// Button.
pub const COPY_HASHES: &str = "Copy these hashes";
/// Files that were not read here.
pub const NO_SOURCES: &str = "The package does not name any.";

/// Name of the button that shows what is known of a model.
#[must_use]
pub fn details_of(name: &str) -> String {
    format!("{MODEL_DETAILS}: {name}")
}

/// Shape of a network.
#[must_use]
pub fn shape(shape: &ModelShape) -> String {
    format!(
        "{}, {} layers, width {}, feed-forward {}, {} heads of {} ({} for keys and values), {} tokens in the vocabulary, context {}{}",
        shape.family,
        shape.layers,
        count(shape.hidden),
        count(shape.ffn),
        shape.heads,
        shape.head_dim,
        shape.kv_heads,
        count(shape.vocab),
        count(shape.context),
        if shape.tied {
            ", head and embedding are one table"
        } else {
            ""
        }
    )
}

/// Label of the memory at a length of the context.
#[must_use]
pub fn memory_label(memory: &MemoryAt) -> String {
    format!("Memory at {} tokens", count(memory.context))
}

/// The memory at a length of the context.
#[must_use]
pub fn memory_at(memory: &MemoryAt) -> String {
    let (weights, cache) = (memory.weight_bytes.get(), memory.kv_bytes.get());
    format!(
        "{}: weights {}, conversation {}",
        bytes(weights.saturating_add(cache)),
        bytes(weights),
        bytes(cache)
    )
}

/// Who says what the hashes of the source files are.
#[must_use]
pub fn hash_origin(n_published: usize, n_all: usize, origin: HashOrigin) -> String {
    match origin {
        HashOrigin::Stated => {
            "Whoever made the package states these; the files themselves were not read here."
                .to_owned()
        }
        _ if n_published == n_all => {
            "The publisher states these hashes, and what was downloaded was compared with them."
                .to_owned()
        }
        _ if n_published > 0 => format!(
            "The publisher states the hashes of {n_published} of {n_all} files, and those were compared. The others were computed here when the files were read first."
        ),
        _ => "The publisher states no hashes. These were computed here when the files were read first."
            .to_owned(),
    }
}
