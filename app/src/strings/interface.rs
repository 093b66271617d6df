//! Names of buttons, fields and regions. The ones that tests and people's habits rest on stay as they are: "Message",
//! "Send", "Stop", "New chat", "Regenerate", "Conversation", "You", "Tern".

/// Label of the text field.
pub const MESSAGE_LABEL: &str = "Message";
/// Hint in the empty text field.
pub const MESSAGE_HINT: &str = "Ask anything";
/// Hint in the empty text field when the model is a base model.
pub const TEXT_HINT: &str = "Begin a text";
/// Above the text field when the model is a base model.
pub const CONTINUES_TEXT: &str =
    "This is a base model: it continues your text and does not answer questions.";
/// Speaker of an answer.
pub const TERN: &str = "Tern";
/// Button that shows the list of chats.
pub const SHOW_CHATS: &str = "Show chats";
/// Button that hides the list of chats.
pub const HIDE_CHATS: &str = "Hide chats";
/// Label of the list of chats.
pub const CHATS: &str = "Chats";
/// Field that narrows the list.
pub const SEARCH_CHATS: &str = "Search chats";
/// The list is empty.
pub const NO_CHATS: &str = "Your chats appear here. They stay on this device.";
/// Nothing in the list has the words searched for.
pub const NO_MATCH: &str = "No chat has these words in its title.";
/// A chat without a title.
pub const UNTITLED: &str = "New conversation";
/// Button that opens the app's settings.
pub const SETTINGS: &str = "Settings";
/// Button that opens the settings of the open chat.
pub const CHAT_SETTINGS: &str = "Chat options";
/// Menu entry.
pub const RENAME: &str = "Rename";
/// Label of the field for a chat's title.
pub const TITLE_FIELD: &str = "Title";
/// Menu entry.
pub const EXPORT_CHAT: &str = "Export as Markdown";
/// Menu entry.
pub const DELETE: &str = "Delete";
/// Button.
pub const CANCEL: &str = "Cancel";
/// Button that closes a sheet or a screen.
pub const DONE: &str = "Done";
/// Button that closes a notice.
pub const DISMISS: &str = "Dismiss";
/// Button that brings a deleted chat back.
pub const UNDO: &str = "Undo";
/// Button under an answer.
pub const REGENERATE: &str = "Regenerate";
/// Button under an answer that broke off.
pub const CONTINUE: &str = "Continue";
/// Button under an answer.
pub const COPY_ANSWER: &str = "Copy answer";
/// Button under a question.
pub const COPY_QUESTION: &str = "Copy question";
/// Button under a question.
pub const EDIT_QUESTION: &str = "Edit question";
/// Button that sends an edited question.
pub const ASK_AGAIN: &str = "Ask again";
/// What editing does.
pub const EDIT_NOTE: &str = "This replaces the question and everything after it.";
/// Button at a block of code.
pub const COPY_CODE: &str = "Copy code";
/// Short form of it.
pub const COPY: &str = "Copy";
/// The clipboard has it.
pub const COPIED: &str = "Copied";
/// Button that goes to the newest words.
pub const JUMP_TO_LATEST: &str = "Jump to latest";
/// Placeholder for a picture that is not loaded.
pub const IMAGE: &str = "Picture";
/// Label of a table.
pub const TABLE: &str = "Table";
/// A block of code in no known language.
pub const CODE: &str = "Code";
/// Button that shows more of a long conversation.
pub const EARLIER: &str = "Show earlier messages";
/// A chat is being read.
pub const OPENING_CHAT: &str = "Opening…";
/// An answer without a word.
pub const EMPTY_ANSWER: &str = "No answer";
/// Done mark of a task in a list.
pub const TASK: &str = "Task";

/// Label of the button with a chat's menu.
#[must_use]
pub fn options_of(title: &str) -> String {
    format!("Options for {title}")
}

/// A chat was deleted.
#[must_use]
pub fn deleted(title: &str) -> String {
    format!("Deleted “{title}”")
}

/// Some of the conversation did not reach the model.
#[must_use]
pub fn trimmed(messages: u32) -> String {
    let (noun, verb) = if messages == 1 {
        ("message", "was")
    } else {
        ("messages", "were")
    };
    format!(
        "The chat is longer than the model can read at once: its {messages} oldest {noun} {verb} left out for this answer."
    )
}

/// A device or worker was replaced during the answer.
#[must_use]
pub fn recovered(times: u32) -> String {
    if times == 1 {
        "GPU restarted once".to_owned()
    } else {
        format!("GPU restarted {times} times")
    }
}

/// Headings of the list of chats, by how many days ago they were used.
#[must_use]
pub const fn age(days: i64) -> &'static str {
    match days {
        ..=0 => "Today",
        1 => "Yesterday",
        2..=7 => "Previous 7 days",
        8..=30 => "Previous 30 days",
        _ => "Older",
    }
}

/// Suggestions for a first question.
pub const SUGGESTIONS: [&str; 4] = [
    "Explain why the sky is blue in two sentences",
    "Write a short poem about a seabird",
    "List three ideas for a rainy afternoon",
    "Translate “good morning” into French",
];

/// Name and keys of each shortcut.
pub const SHORTCUTS: [(&str, &[&str]); 8] = [
    ("Send", &["Return"]),
    ("New line", &["Shift", "Return"]),
    ("Find a chat", &["⌘ or Ctrl", "K"]),
    ("New chat", &["⌘ or Ctrl", "Shift", "O"]),
    ("New chat, in the installed app", &["⌘ or Ctrl", "N"]),
    ("Show or hide chats", &["⌘ or Ctrl", "B"]),
    ("Settings", &["⌘ or Ctrl", ","]),
    ("Stop, close", &["Esc"]),
];

/// Heading of the list of shortcuts.
pub const SHORTCUTS_TITLE: &str = "Keyboard";

// ---- sheet of a chat's settings

/// Label of the system prompt.
pub const INSTRUCTIONS: &str = "Instructions";
/// What they are.
pub const INSTRUCTIONS_HINT: &str =
    "Tell the model how to answer in this chat, for example: Answer in one short sentence.";
/// Heading of the sampling settings.
pub const SAMPLING: &str = "How words are chosen";
/// Button.
pub const RESET_SAMPLING: &str = "Reset to the model's defaults";
/// Name of a setting and what it does.
pub const TEMPERATURE: (&str, &str) = (
    "Temperature",
    "0 always takes the likeliest word, higher is more varied.",
);
/// Name of a setting and what it does.
pub const TOP_P: (&str, &str) = (
    "Top p",
    "Only the likeliest words that together reach this share.",
);
/// Name of a setting and what it does.
pub const TOP_K: (&str, &str) = ("Top k", "Only this many of the likeliest words, 0 for all.");
/// Name of a setting and what it does.
pub const MIN_P: (&str, &str) = (
    "Min p",
    "Leaves out words below this share of the likeliest.",
);
/// Name of a setting and what it does.
pub const REPETITION: (&str, &str) = (
    "Repetition penalty",
    "Above 1 discourages words that were used just before.",
);
/// Name of a setting and what it does.
pub const WINDOW: (&str, &str) = (
    "Repetition window",
    "How many recent words the penalty looks at.",
);

// ---- links

/// Title of the dialog.
pub const LINK_TITLE: &str = "Open this link?";
/// What to know before opening.
pub const LINK_DETAIL: &str =
    "The model wrote this address. It may be wrong or lead anywhere. It opens outside Tern.";
/// Button.
pub const LINK_OPEN: &str = "Open";
/// Button.
pub const LINK_COPY: &str = "Copy address";
