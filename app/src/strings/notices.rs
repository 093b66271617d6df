//! Words for what should be read once.

use crate::{ImportReport, Setback, limits};

/// An import that changed nothing.
pub const IMPORT_FAILED: &str = "This file has no chats that Tern can read";
/// No file was made.
pub const EXPORT_FAILED: &str = "The file could not be made";
/// Why no file was made.
pub const CHATS_UNREADABLE: &str = "the chats could not be read";
/// Something is left.
pub const ERASE_FAILED: &str = "Not everything could be erased";
/// The clipboard has what it had.
pub const COPY_FAILED: &str = "The text could not be copied";
/// The model is still there.
pub const DELETE_FAILED: &str = "The model could not be deleted";

/// A sentence and the technical line behind it.
#[must_use]
pub fn with_detail(sentence: &str, detail: &str) -> String {
    format!("{sentence}: {detail}")
}

/// Some chats are not in the file.
#[must_use]
pub fn exported_in_part(incomplete: u32) -> String {
    let chats = if incomplete == 1 {
        "chat is"
    } else {
        "chats are"
    };
    format!(
        "The file was made, but {incomplete} {chats} missing in it or not complete: they could not be read"
    )
}

/// The file is larger than what can be imported.
#[must_use]
pub fn export_too_large(bytes: u64) -> String {
    format!(
        "The file has {}, more than the {} that Tern can import again. Keep it, then delete chats that you no longer need.",
        super::bytes(bytes),
        super::bytes(u64::from(limits::MAX_FILE_BYTES))
    )
}

/// A file is larger than what can be imported.
#[must_use]
pub fn file_too_large(bytes: f64) -> String {
    let most = limits::MAX_FILE_BYTES;
    format!("the file is too large: expected at most {most} bytes, got {bytes}")
}

/// The model remembers less.
#[must_use]
pub fn smaller(context: u32, is_rounded: bool, because: Setback) -> String {
    let why = match because {
        Setback::Gpu => "The graphics processor failed several times",
        Setback::Memory => "There was not enough memory",
        Setback::Worker => "The model stopped several times",
        Setback::Killed => "The system closed the app several times",
    };
    let how = if is_rounded {
        ", and these less exactly"
    } else {
        ""
    };
    format!("{why}, so the model now remembers less: {context} tokens{how}")
}

/// Files were dropped while something else was under way.
pub const FILES_LEFT: &str =
    "The files were not opened, because the model is busy. Choose them again when it is ready.";

/// A model is gone.
#[must_use]
pub fn model_deleted(bytes: u64) -> String {
    format!("Model deleted, {} freed", super::bytes(bytes))
}

/// What an import brought.
#[must_use]
pub fn imported(report: &ImportReport) -> String {
    let chats = |n: u32| if n == 1 { "chat" } else { "chats" };
    let mut parts = Vec::new();
    if report.added > 0 {
        parts.push(format!("{} {} added", report.added, chats(report.added)));
    }
    if report.updated > 0 {
        parts.push(format!("{} updated", report.updated));
    }
    if report.unchanged > 0 {
        parts.push(format!("{} already here", report.unchanged));
    }
    if report.rejected > 0 {
        parts.push(format!("{} not readable", report.rejected));
    }
    if parts.is_empty() {
        return "The file holds no chats".to_owned();
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::ImportReport;

    #[test]
    fn an_import_is_told_in_numbers_that_are_not_zero() {
        let report = |added, updated, unchanged, rejected| ImportReport {
            added,
            updated,
            unchanged,
            rejected,
        };
        for (report, words) in [
            (report(0, 0, 0, 0), "The file holds no chats"),
            (report(1, 0, 0, 0), "1 chat added"),
            (
                report(3, 1, 2, 4),
                "3 chats added, 1 updated, 2 already here, 4 not readable",
            ),
        ] {
            assert_eq!(super::imported(&report), words);
        }
    }
}
