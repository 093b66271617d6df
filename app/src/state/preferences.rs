//! What the person chose once for all chats.

use serde::{Deserialize, Serialize};

/// What the person chose; stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Colours.
    pub theme: Theme,
    /// Size of text.
    pub text_size: TextSize,
    /// Whether the list of chats is shown.
    pub sidebar: bool,
    /// Whether the hint on installing is never shown again.
    pub install_hint_dismissed: bool,
    /// Whether answers are made slower than the device can, so that it needs less energy.
    pub saves_energy: bool,
}

/// Tokens a second while energy is saved. A token is about three quarters of an English word and people read about four words
/// a second, so this is about twice as fast as anybody reads: whoever reads along waits for nothing. Devices that do
/// several times as many rest most of the time; those that do fewer notice nothing.
pub const SAVING_TOKENS_PER_SECOND: u32 = 10;

impl Preferences {
    /// Most tokens a second that an answer may have; 0 = as many as the device can.
    #[must_use]
    pub const fn tokens_per_second(&self) -> u32 {
        if self.saves_energy {
            SAVING_TOKENS_PER_SECOND
        } else {
            0
        }
    }
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            theme: Theme::System,
            text_size: TextSize::Medium,
            sidebar: true,
            install_hint_dismissed: false,
            saves_energy: false,
        }
    }
}

/// Colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// All of them, for a choice.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// Its name in markup.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// Size of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TextSize {
    /// Smaller than the system's.
    Small,
    /// The system's.
    #[default]
    Medium,
    /// Larger.
    Large,
    /// Much larger.
    Huge,
}

impl TextSize {
    /// All of them, for a choice.
    pub const ALL: [Self; 4] = [Self::Small, Self::Medium, Self::Large, Self::Huge];

    /// Its name in markup.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::Huge => "huge",
        }
    }
}
