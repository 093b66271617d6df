//! Every word that a person reads.

mod diagnostics;
mod fit;
mod format;
mod hosts;
mod interface;
mod models;
mod notices;
mod screens;

pub use diagnostics::*;
pub use fit::*;
pub use format::*;
pub use hosts::*;
pub use interface::*;
pub use models::*;
pub use notices::*;
pub use screens::*;

use protocol::{ByteCount, Fault, FaultCode, FetchTrouble, LoadProgress, Retry, Usage};

/// Name of the app.
pub const TITLE: &str = "Tern";
/// Headline of an empty conversation.
pub const WELCOME: &str = "What would you like to know?";
/// What to know before the first question.
pub const WELCOME_DETAIL: &str = "Everything is computed and kept on this device. The model is small and often wrong: check what matters.";
/// Button that sends the message.
pub const SEND: &str = "Send";
/// Button that stops the answer.
pub const STOP: &str = "Stop";
/// Button that forgets the conversation.
pub const NEW_CHAT: &str = "New chat";
/// Button after a failure that may pass.
pub const TRY_AGAIN: &str = "Try again";
/// Button after a failure that a fresh page repairs.
pub const RELOAD: &str = "Reload the page";
/// Summary of the technical line.
pub const DETAILS: &str = "Technical details";
/// Label of the conversation.
pub const CONVERSATION: &str = "Conversation";
/// Label of the region that screen readers read answers from.
pub const ANNOUNCEMENTS: &str = "Announcements";
/// Label of the loading bar.
pub const LOADING_LABEL: &str = "Loading the model";
/// Speaker of a question, for screen readers.
pub const YOU: &str = "You";
/// Before the worker has spoken.
pub const STARTING: &str = "Starting…";
/// Ready for a question.
pub const READY: &str = "Ready";
/// Before the first token.
pub const THINKING: &str = "Reading your message…";
/// While an answer streams.
pub const ANSWERING: &str = "Answering…";
/// While an answer streams from a device that has become slow. Nobody tells why; warmth is the likeliest reason.
pub const SLOWED: &str = "This device has slowed down, probably to stay cool. Answers take longer.";
/// The device was lost in the middle of an answer.
pub const RECOVERING: &str = "GPU restarted, continuing…";
/// The device was lost while nothing was asked.
pub const RESTARTING: &str = "Restarting the model…";
/// Technical line: the script of the worker could not be fetched.
pub const WORKER_NOT_LOADED: &str = "a script of the worker could not be loaded";
/// The person lets the download rest.
pub const DOWNLOAD_PAUSED: &str = "The download is paused";
/// The model waits for the person's word.
pub const OFFER: &str = "The model is not on this device yet";
/// An answer waits until the page is visible.
pub const PAUSED: &str = "Paused";
/// Another tab has the engine.
pub const ELSEWHERE: &str = "Tern is open in another tab";
/// Nothing works.
pub const FAILED: &str = "Stopped";
/// Under an answer that was stopped.
pub const NOTE_CANCELLED: &str = "Stopped by you";
/// Under an answer that reached the limit of its length.
pub const NOTE_LENGTH: &str = "Stopped: the answer reached its longest length";
/// Under an answer that filled the context.
pub const NOTE_CONTEXT: &str =
    "Stopped: the conversation is as long as the model can remember. Start a new chat.";
/// Under an answer that failed.
pub const NOTE_FAILED: &str = "This answer is not complete";
/// Under an answer that the closing of the page cut off.
pub const NOTE_INTERRUPTED: &str = "This answer was interrupted";

/// What failed, and what to do about it.
#[must_use]
pub fn fault_words(fault: &Fault) -> String {
    match (fault.code, fault.missing_bytes) {
        (FaultCode::StorageFull, Some(missing)) => {
            let megabytes = missing.get().div_ceil(1_000_000);
            format!(
                "There is not enough room to keep the model. Free {megabytes} MB, then try again; what has arrived is kept."
            )
        }
        (FaultCode::HostNotAllowed, _) => hosts::host_not_allowed(fault),
        (FaultCode::HostBlocked, _) => hosts::host_blocked(fault),
        (code, _) => self::fault(code).to_owned(),
    }
}

/// The words for what every fault of a code has in common.
#[must_use]
const fn fault(code: FaultCode) -> &'static str {
    match code {
        FaultCode::VersionMismatch => "A part of the app is older than the rest. Reload the page.",
        FaultCode::BadRequest => {
            "The app asked for something that does not exist. Reload the page; if it happens again, please report it."
        }
        FaultCode::BadAddress => {
            "This is not the address of a model. Write owner/name, or an address that begins with https://."
        }
        FaultCode::HostNotAllowed => hosts::HOST_UNKNOWN,
        FaultCode::HostBlocked => {
            "This server is allowed, but this window does not know it yet. Reload the page."
        }
        FaultCode::Unsupported => {
            "This model can't be used: only ternary (1.58-bit) models can, in the formats that are usual for them."
        }
        FaultCode::NoWebGpu => {
            "The model computes on the graphics processor through WebGPU, and this browser does not offer it. Your chats stay readable."
        }
        FaultCode::NoAdapter => {
            "The browser does not give access to a graphics processor. Turn on hardware acceleration, or use another device."
        }
        FaultCode::LimitsTooSmall => {
            "This model is too large for the graphics processor of this device. Choose a smaller model."
        }
        FaultCode::DeviceLost => {
            "The graphics processor stopped several times. Close other tabs and apps, then try again."
        }
        FaultCode::OutOfMemory => {
            "There is not enough memory for the model. Close other tabs and apps, then try again."
        }
        FaultCode::Gpu => {
            "The graphics processor could not finish a step of the computation. Try again; if it happens again, please report it."
        }
        FaultCode::WrongNumbers => {
            "The graphics processor of this device computes wrong results, so its answers would be nonsense. Update the system or the browser, or use another device."
        }
        FaultCode::Network => "The model could not be fetched. Check the connection and try again.",
        FaultCode::NotFound => "The model is not on the server. Check its address.",
        FaultCode::Refused => {
            "The server does not give this model to everybody. Check its address, or choose another model."
        }
        FaultCode::Busy => {
            "The server has no time for this download now. Try again later; what has arrived is kept."
        }
        FaultCode::WebPage => {
            "A web page came instead of the model. If this network asks for a login, log in, then try again; otherwise check the address."
        }
        FaultCode::BadModel => "The model's description can't be used by this version of the app.",
        FaultCode::BadFiles => {
            "These files can't be used as a model. Choose an archive that Tern has saved, one GGUF file, or all files of one model together."
        }
        FaultCode::FilesGone => {
            "This model came from files, and they are needed again. Choose them in the settings, or reload the page to go on without it."
        }
        FaultCode::Corrupt => "A file of the model arrived damaged. Try again.",
        FaultCode::NoChat => "This model can't hold a conversation: it has no tokenizer.",
        FaultCode::Text => "This conversation can't be given to the model. Start a new chat.",
        FaultCode::PromptTooLong => {
            "The conversation is longer than the model can remember. Start a new chat."
        }
        FaultCode::Trap => {
            "The app has met a bug of its own. Reload the page; if it happens again, please report it."
        }
        FaultCode::Silent => {
            "The model no longer responds. Try again; if that does not help, reload the page."
        }
        FaultCode::StorageFull => {
            "There is not enough room to keep the model. Free some space, then try again; what has arrived is kept."
        }
        FaultCode::Killed => {
            "The system closed the app several times while the model was being started. Close other apps, then start it again; it will take less memory."
        }
        FaultCode::Storage => {
            "The browser's storage stopped working. Reload the page; if it happens again, restart the browser."
        }
    }
}

/// What is wrong with a download that tries again by itself.
#[must_use]
pub const fn trouble(trouble: FetchTrouble) -> &'static str {
    match trouble {
        FetchTrouble::Connection => "The connection fails, trying again…",
        FetchTrouble::Stalled => "Nothing comes from the server, trying again…",
        FetchTrouble::Busy => "The server is busy, trying again…",
        FetchTrouble::WebPage => {
            "The network answers with a web page: it may want you to log in. Trying again…"
        }
        FetchTrouble::Wrong => "A file arrived damaged, fetching it anew…",
    }
}

/// The button that goes with a failure, if one can help.
#[must_use]
pub const fn retry(retry: Retry) -> Option<&'static str> {
    match retry {
        Retry::Never => None,
        Retry::Again => Some(TRY_AGAIN),
        Retry::Reload => Some(RELOAD),
    }
}

/// Megabytes with one decimal.
fn megabytes(bytes: ByteCount) -> String {
    format!("{:.1}", bytes.get() as f64 / 1e6)
}

/// Ready for a question to the model of this name.
#[must_use]
pub fn ready(model: &str) -> String {
    format!("{model} is ready")
}

/// The browser gives no GPU for a while.
#[must_use]
pub fn waiting(seconds: u64) -> String {
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    format!(
        "The browser has paused access to the graphics processor. Trying again in {minutes}:{seconds:02}."
    )
}

/// How far loading is.
#[must_use]
pub fn loading(progress: Option<LoadProgress>) -> String {
    match progress {
        None => "Loading the model…".to_owned(),
        Some(progress) => format!(
            "Loading the model: {} of {} MB",
            megabytes(progress.bytes_done),
            megabytes(progress.bytes_total)
        ),
    }
}

/// How far reading the prompt is.
#[must_use]
pub fn prefill(done: u32, total: u32) -> String {
    format!("{THINKING} {done} of {total}")
}

/// Counts and speed of an answer.
#[must_use]
pub fn usage(usage: &Usage) -> String {
    let tokens = if usage.answer_tokens == 1 {
        "token"
    } else {
        "tokens"
    };
    let mut line = format!("{} {tokens}", usage.answer_tokens);
    if usage.tokens_per_second > 0.0 {
        line += &format!(", {:.1} tokens/s", usage.tokens_per_second);
    }
    if usage.first_token_millis > 0.0 {
        line += &format!(", first after {:.1} s", usage.first_token_millis / 1000.0);
    }
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use protocol::{ByteCount, Fault, FaultCode, LoadProgress, LoadStage, Usage};

    #[test]
    fn every_fault_has_words_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for code in FaultCode::ALL {
            let words = super::fault(code);
            assert!(words.ends_with('.') && words.len() > 30, "{words}");
            assert!(seen.insert(words), "{words}");
        }
    }

    #[test]
    fn what_has_to_be_freed_is_said_in_whole_megabytes_that_suffice() {
        let fault = |missing| Fault {
            missing_bytes: missing,
            ..Fault::new(FaultCode::StorageFull, "no room")
        };
        let words = super::fault_words(&fault(ByteCount::new(17_000_001)));
        assert!(words.contains("Free 18 MB,"), "{words}");
        let words = super::fault_words(&fault(None));
        assert_eq!(words, super::fault(FaultCode::StorageFull));
    }

    #[test]
    fn numbers_are_readable() {
        let bytes = |n| ByteCount::new(n).unwrap();
        let progress = LoadProgress {
            stage: LoadStage::Download,
            shards_done: 1,
            shards_total: 4,
            bytes_done: bytes(8_388_608),
            bytes_total: bytes(33_000_000),
            fetched_bytes: bytes(8_388_608),
        };
        assert_eq!(
            super::loading(Some(progress)),
            "Loading the model: 8.4 of 33.0 MB"
        );
        let usage = Usage {
            answer_tokens: 7,
            first_token_millis: 840.0,
            tokens_per_second: 12.34,
            ..Usage::default()
        };
        assert_eq!(
            super::usage(&usage),
            "7 tokens, 12.3 tokens/s, first after 0.8 s"
        );
        assert!(super::waiting(119).ends_with("in 1:59."));
        assert!(super::waiting(5).ends_with("in 0:05."));
        assert_eq!(
            super::usage(&Usage {
                answer_tokens: 1,
                ..Usage::default()
            }),
            "1 token"
        );
    }
}
