//! Words of whole screens: first run, settings, failures, banners.

use protocol::FaultCode;

// ---- first run

/// Headline.
pub const FIRST_TITLE: &str = "A language model that lives on this device";
/// Under the headline.
pub const FIRST_LEAD: &str =
    "Download it once. After that you can chat anywhere, even in flight mode.";
/// Three things to know: name and detail.
pub const FIRST_POINTS: [(&str, &str); 3] = [
    (
        "Private",
        "What you write is computed and kept here. Nothing is sent anywhere.",
    ),
    (
        "Offline",
        "No account, no server. One download, then no network needed.",
    ),
    (
        "Small",
        "The built-in model is tiny. It is often wrong and makes things up: check what matters.",
    ),
];
/// Label of a fact.
pub const FACT_MODEL: &str = "Model";
/// Label of a fact.
pub const FACT_DOWNLOAD: &str = "Download";
/// Label of a fact.
pub const FACT_MEMORY: &str = "Memory in use";
/// Label of a fact.
pub const FACT_LICENCE: &str = "Licence";
/// The licence is not stated.
pub const LICENCE_UNKNOWN: &str = "Not stated";
/// Whether it fits can't be known.
pub const FIT_UNKNOWN: &str = "This browser does not tell whether it fits. Trying is safe.";
/// The model does not fit.
pub const FIT_TOO_LARGE: &str = "Too large for this device";
/// The button.
pub const DOWNLOAD: &str = "Download and start";
/// The button when a part is there already.
pub const DOWNLOAD_REST: &str = "Continue download";
/// The button when the model is probably too large.
pub const DOWNLOAD_ANYWAY: &str = "Download anyway";
/// Button that lets the download rest.
pub const PAUSE_DOWNLOAD: &str = "Pause";
/// Button that lets it go on.
pub const RESUME_DOWNLOAD: &str = "Resume";
/// Button that stops it; what has arrived stays.
pub const CANCEL_DOWNLOAD: &str = "Stop download";
/// The download begins.
pub const DOWNLOAD_STARTING: &str = "Connecting…";
/// Behind the download.
pub const PREPARING: &str = "Preparing the model…";
/// Storage is refused.
pub const NOT_KEPT: &str = "This window does not keep data, as in private browsing. The model works until you close it, then has to be downloaded again.";
/// Nothing is known yet.
pub const LOOKING: &str = "Looking at the model…";
/// There is no network and no model.
pub const OFFLINE_FIRST: &str = "There is no connection. Connect once to download the model.";

/// Heading of the hint.
pub const INSTALL_TITLE: &str = "First, add Tern to your Home Screen";
/// Why.
pub const INSTALL_WHY: &str =
    "The installed app has its own storage: a model downloaded in this tab is not carried over.";
/// How, step by step.
pub const INSTALL_STEPS: [&str; 3] = [
    "Tap Share in the toolbar",
    "Choose Add to Home Screen",
    "Open Tern from there",
];
/// Button that closes the hint for good.
pub const INSTALL_SKIP: &str = "Use this tab instead";

// ---- settings

/// Heading of a group.
pub const GROUP_MODEL: &str = "Model";
/// Heading of a group.
pub const GROUP_STORAGE: &str = "Storage";
/// Heading of a group.
pub const GROUP_APPEARANCE: &str = "Appearance";
/// Heading of a group.
pub const GROUP_CHATS: &str = "Chats";
/// Heading of a group.
pub const GROUP_ABOUT: &str = "About";
/// State of a model.
pub const MODEL_RUNNING: &str = "Running";
/// State of a model.
pub const MODEL_STORED: &str = "Stored";
/// State of a model.
pub const MODEL_PARTLY: &str = "Partly downloaded";
/// State of a model.
pub const MODEL_MEMORY_ONLY: &str = "In memory only";
/// There is no model.
pub const NO_MODELS: &str = "No model is stored on this device.";
/// Heading of a group.
pub const GROUP_ADD_MODEL: &str = "Add a model";
/// Label of the field.
pub const MODEL_ADDRESS: &str = "Address of a model";
/// What can be written there.
pub const MODEL_ADDRESS_HINT: &str = "owner/name, or https://…";
/// Button.
pub const LOOK_UP: &str = "Look up";
/// It is being looked up.
pub const LOOKING_UP: &str = "Looking what is there…";
/// Below the field.
pub const ADD_MODEL_NOTE: &str = "A ternary model on Hugging Face by its name, or the address of a GGUF file. It is fetched once and converted on this device. Only its server learns that you fetched it.";
/// Button.
pub const DOWNLOAD_MODEL: &str = "Download and use";
/// Button.
pub const USE_MODEL: &str = "Use this model";
/// Button of a model in files.
pub const COPY_MODEL: &str = "Copy and use";
/// Button that lets files be chosen.
pub const FROM_FILES: &str = "From Files…";
/// Below the button.
pub const FROM_FILES_NOTE: &str = "Or choose files, or drop them here: an archive that Tern has saved, a GGUF file, or all files of a model together. They are copied; no network is needed.";
/// Button beside a stored model.
pub const SAVE_MODEL: &str = "Save to Files";
/// The same while the file is made.
pub const SAVING_MODEL: &str = "Saving…";
/// Label of a fact.
pub const FACT_FILES: &str = "Files";
/// Copying begins.
pub const COPY_STARTING: &str = "Reading the files…";
/// Button that stops it; nothing is kept.
pub const CANCEL_COPY: &str = "Stop copying";
/// Button beside a stored model.
pub const USE_STORED: &str = "Use";
/// Button of the first visit.
pub const ANOTHER_MODEL: &str = "Another model…";

/// Label of the button that saves a stored model: its words, then which model.
#[must_use]
pub fn save_model(words: &str, name: &str) -> String {
    format!("{words}: {name}")
}

/// Label of the button beside a stored model.
#[must_use]
pub fn use_model(name: &str) -> String {
    format!("Use {name}")
}

/// Button.
pub const DELETE_MODEL: &str = "Delete model";
/// Question of the dialog.
pub const DELETE_MODEL_TITLE: &str = "Delete this model?";
/// What it means.
pub const DELETE_MODEL_DETAIL: &str =
    "Your chats stay. To use the model later, download it or choose its files once more.";
/// Label.
pub const USED: &str = "Used by Tern";
/// Label.
pub const KEPT: &str = "Protected from automatic removal";
/// Answer.
pub const YES: &str = "Yes";
/// Answer.
pub const NO: &str = "No";
/// What can be done.
pub const NOT_PROTECTED: &str = "The browser may remove Tern's data when space runs out. Installed on the Home Screen it is safer.";
/// Not known.
pub const UNKNOWN: &str = "Unknown";
/// Label of a choice.
pub const THEME: &str = "Theme";
/// Names of the themes: system, light, dark.
pub const THEMES: [&str; 3] = ["System", "Light", "Dark"];
/// Label of a choice.
pub const TEXT_SIZE: &str = "Text size";
/// Names of the sizes, small to huge.
pub const TEXT_SIZES: [&str; 4] = ["Small", "Medium", "Large", "Huge"];
/// Heading of a group.
pub const GROUP_ENERGY: &str = "Energy";
/// Label of a choice.
pub const ANSWER_SPEED: &str = "Answers";
/// Names of the choices: as fast as the device can, and with less energy.
pub const ANSWER_SPEEDS: [&str; 2] = ["Full speed", "Save energy"];
/// Button.
pub const EXPORT_ALL: &str = "Export all chats";
/// Button.
pub const IMPORT: &str = "Import chats";
/// What the file is.
pub const EXPORT_NOTE: &str =
    "One JSON file with every chat. Importing adds to what is here and never deletes.";
/// Button.
pub const ERASE: &str = "Erase everything";
/// Question of the dialog.
pub const ERASE_TITLE: &str = "Erase everything?";
/// What it means.
pub const ERASE_DETAIL: &str =
    "All chats, settings and models are deleted from this device. This can't be undone.";
/// It is being done.
pub const ERASING: &str = "Erasing…";
/// Label.
pub const VERSION: &str = "Version";
/// Label.
pub const GPU: &str = "Graphics";
/// Label.
pub const CONTEXT: &str = "Context";
/// What Tern is.
pub const ABOUT: &str = "Tern runs ternary language models on your device's graphics processor. No account, no tracking, no server.";

// ---- banners and bars

/// Another version waits.
pub const UPDATE: &str = "A new version of Tern is ready";
/// Button.
pub const UPDATE_NOW: &str = "Update";
/// The database does not work.
pub const CHATS_NOT_SAVED: &str =
    "Chats can't be saved right now. They are kept only until this window is closed.";
/// There is no room.
pub const STORAGE_FULL: &str = "The device is out of room: new messages are not saved yet. Export your chats, or free some space.";
/// Another tab has the engine.
pub const ELSEWHERE_TITLE: &str = "Tern is running in another tab";
/// What can be done.
pub const ELSEWHERE_DETAIL: &str = "You can read your chats here.";
/// Button.
pub const USE_HERE: &str = "Use here";

/// The heading over what [`super::fault_words`] says.
#[must_use]
pub const fn fault_title(code: FaultCode) -> &'static str {
    match code {
        FaultCode::NoWebGpu => "This browser can't run the model",
        FaultCode::NoAdapter => "The graphics processor is not available",
        FaultCode::LimitsTooSmall => "The model is too large for this device",
        FaultCode::OutOfMemory => "Out of memory",
        FaultCode::DeviceLost | FaultCode::Gpu => "The graphics processor stopped",
        FaultCode::WrongNumbers => "This graphics processor can't be trusted",
        FaultCode::Network => "No connection to the model",
        FaultCode::Refused => "The server refuses this model",
        FaultCode::Busy => "The server is busy",
        FaultCode::WebPage => "A web page came instead of the model",
        FaultCode::NotFound | FaultCode::BadModel | FaultCode::Unsupported | FaultCode::NoChat => {
            "This model can't be used"
        }
        FaultCode::HostNotAllowed | FaultCode::HostBlocked => "This server is not allowed yet",
        FaultCode::BadFiles => "These files are no model",
        FaultCode::FilesGone => "The model's files are needed again",
        FaultCode::BadAddress => "This is not the address of a model",
        FaultCode::Corrupt => "The download was damaged",
        FaultCode::StorageFull => "Not enough room",
        FaultCode::Storage => "Storage stopped working",
        FaultCode::Killed => "Tern was closed several times",
        FaultCode::PromptTooLong => "That is too long for this model",
        FaultCode::VersionMismatch => "Tern needs to reload",
        FaultCode::Text | FaultCode::BadRequest | FaultCode::Trap | FaultCode::Silent => {
            "Something went wrong"
        }
    }
}

/// What to try, step by step, where words alone don't help.
#[must_use]
pub const fn fault_steps(code: FaultCode) -> &'static [&'static str] {
    match code {
        FaultCode::NoWebGpu => &[
            "On an iPad: update to iPadOS 26 or later",
            "If Lockdown Mode is on, allow this site in its settings",
            "On a computer: use a current Chrome, Edge or Safari",
        ],
        FaultCode::NoAdapter => &[
            "Close other tabs and apps, then try again",
            "Turn on hardware acceleration in the browser's settings",
            "Restart the browser",
        ],
        FaultCode::StorageFull => &[
            "In the settings, delete models that you no longer use",
            "On the device, delete apps, photos or files",
        ],
        _ => &[],
    }
}
