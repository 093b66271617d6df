//! What the keys of a hardware keyboard mean.

/// What the person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortcut {
    /// Look for a chat.
    FindChat,
    /// Begin an empty chat.
    NewChat,
    /// Show or hide the list of chats.
    ToggleChats,
    /// Open or close the settings.
    Settings,
    /// Stop what runs, or close what is open.
    Escape,
}

/// A key that was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Press<'a> {
    /// Its name, as browsers have it.
    pub key: &'a str,
    /// Whether the Command key or Control is down.
    pub command: bool,
    /// Whether Shift is down.
    pub shift: bool,
    /// Whether Option (Alt) is down; with it, keys make characters.
    pub option: bool,
    /// Whether a character is being composed: those keys are the input method's.
    pub composing: bool,
}

impl Press<'_> {
    /// What the key means everywhere in the app. Command-N reaches an installed app only: in a tab it is the browser's,
    /// which is why Command-Shift-O does the same.
    #[must_use]
    pub fn shortcut(self) -> Option<Shortcut> {
        if self.composing || self.option {
            return None;
        }
        let is = |key: &str| self.key.eq_ignore_ascii_case(key);
        match (self.command, self.shift) {
            (true, false) if is("k") => Some(Shortcut::FindChat),
            (true, false) if is("n") => Some(Shortcut::NewChat),
            (true, true) if is("o") => Some(Shortcut::NewChat),
            (true, false) if is("b") => Some(Shortcut::ToggleChats),
            (true, false) if is(",") => Some(Shortcut::Settings),
            (false, false) if is("Escape") => Some(Shortcut::Escape),
            _ => None,
        }
    }

    /// Whether the key sends what was written. With Shift it makes a new line.
    #[must_use]
    pub fn sends(self) -> bool {
        self.key == "Enter" && !self.shift && !self.option && !self.composing
    }
}

#[cfg(test)]
mod tests {
    use super::{Press, Shortcut};

    const fn press(key: &str) -> Press<'_> {
        Press {
            key,
            command: false,
            shift: false,
            option: false,
            composing: false,
        }
    }

    const fn command(key: &str) -> Press<'_> {
        Press {
            command: true,
            ..press(key)
        }
    }

    #[test]
    fn each_shortcut_is_known() {
        for (pressed, wanted) in [
            (command("k"), Some(Shortcut::FindChat)),
            (command("K"), Some(Shortcut::FindChat)),
            (command("n"), Some(Shortcut::NewChat)),
            (command("b"), Some(Shortcut::ToggleChats)),
            (command(","), Some(Shortcut::Settings)),
            (
                Press {
                    shift: true,
                    ..command("O")
                },
                Some(Shortcut::NewChat),
            ),
            (press("Escape"), Some(Shortcut::Escape)),
            (press("k"), None),
            (command("o"), None),
            (
                Press {
                    option: true,
                    ..command("k")
                },
                None,
            ),
            (
                Press {
                    composing: true,
                    ..press("Escape")
                },
                None,
            ),
        ] {
            assert_eq!(pressed.shortcut(), wanted, "{pressed:?}");
        }
    }

    #[test]
    fn enter_sends_unless_something_else_is_meant() {
        assert!(press("Enter").sends());
        assert!(command("Enter").sends());
        assert!(
            !Press {
                shift: true,
                ..press("Enter")
            }
            .sends()
        );
        assert!(
            !Press {
                composing: true,
                ..press("Enter")
            }
            .sends()
        );
        assert!(!press("a").sends());
    }
}
