//! Line icons, drawn on a grid of 24. Always beside or inside something that has a name, so hidden from screen readers.

use leptos::prelude::*;

/// Which icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Sidebar,
    Compose,
    Sliders,
    Gear,
    Search,
    More,
    Copy,
    Check,
    Pencil,
    Again,
    Play,
    ArrowUp,
    ArrowDown,
    Stop,
    Close,
    Bin,
    Warning,
    Share,
    Lock,
    Plane,
    Leaf,
    Link,
    Chip,
}

impl Shape {
    /// The lines.
    const fn path(self) -> &'static str {
        match self {
            Self::Sidebar => {
                "M5.5 4.5h13a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2h-13a2 2 0 0 1-2-2v-11a2 2 0 0 1 2-2ZM9.5 4.5v15"
            }
            Self::Compose => {
                "M12.5 5H6.5A2.5 2.5 0 0 0 4 7.5v10A2.5 2.5 0 0 0 6.5 20h10a2.5 2.5 0 0 0 2.5-2.5v-6M10 14l.6-3 8-8a1.7 1.7 0 0 1 2.4 2.4l-8 8Z"
            }
            Self::Sliders => {
                "M4 7h9M18 7h2M4 17h2M11 17h9M15.5 4.5a2.5 2.5 0 1 1 0 5a2.5 2.5 0 0 1 0-5ZM8.5 14.5a2.5 2.5 0 1 1 0 5a2.5 2.5 0 0 1 0-5Z"
            }
            Self::Gear => {
                "M12 8.8a3.2 3.2 0 1 1 0 6.4a3.2 3.2 0 0 1 0-6.4ZM10.3 3.5h3.4l.5 2.5 1.7 1 2.4-.8 1.7 2.9-1.9 1.7v2.4l1.9 1.7-1.7 2.9-2.4-.8-1.7 1-.5 2.5h-3.4l-.5-2.5-1.7-1-2.4.8-1.7-2.9 1.9-1.7v-2.4L4 9.1l1.7-2.9 2.4.8 1.7-1Z"
            }
            Self::Search => "M10.5 4a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13ZM15.3 15.3 20 20",
            Self::More => "M5.5 12h.01M12 12h.01M18.5 12h.01",
            Self::Copy => {
                "M10 8.5h8a1.5 1.5 0 0 1 1.5 1.5v9a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 8.5 19v-9A1.5 1.5 0 0 1 10 8.5ZM15.5 5.5V5A1.5 1.5 0 0 0 14 3.5H6A1.5 1.5 0 0 0 4.5 5v9A1.5 1.5 0 0 0 6 15.5"
            }
            Self::Check => "M5 12.5l4.5 4.5L19 7",
            Self::Pencil => {
                "M4.5 19.5l.9-4L16.2 4.7a1.9 1.9 0 0 1 2.7 0l.4.4a1.9 1.9 0 0 1 0 2.7L8.5 18.6ZM14 7l3 3"
            }
            Self::Again => "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9M19.5 4.5V9H15",
            Self::Play => "M8 5.5v13l10.5-6.5Z",
            Self::ArrowUp => "M12 19V5.5M6 11l6-6 6 6",
            Self::ArrowDown => "M12 5v13.5M6 13l6 6 6-6",
            Self::Stop => "M7.5 7.5h9v9h-9Z",
            Self::Close => "M6 6l12 12M18 6 6 18",
            Self::Bin => {
                "M4.5 7h15M9.5 7V4.5h5V7M6.5 7l1 12.5h9l1-12.5M10.5 10.5v5.5M13.5 10.5v5.5"
            }
            Self::Warning => "M12 4 21 19.5H3ZM12 10v4.5M12 17.2h.01",
            Self::Share => {
                "M12 14.5V3.5M8 7l4-4 4 4M8 10.5H6.5A1.5 1.5 0 0 0 5 12v7a1.5 1.5 0 0 0 1.5 1.5h11A1.5 1.5 0 0 0 19 19v-7a1.5 1.5 0 0 0-1.5-1.5H16"
            }
            Self::Lock => {
                "M7 10.5h10a1.5 1.5 0 0 1 1.5 1.5v7a1.5 1.5 0 0 1-1.5 1.5H7A1.5 1.5 0 0 1 5.5 19v-7A1.5 1.5 0 0 1 7 10.5ZM8.5 10.5V7.5a3.5 3.5 0 0 1 7 0v3"
            }
            Self::Plane => "M3.5 12.5l17-8-6 16-3-7ZM11.5 13.5l4-4",
            Self::Leaf => "M5 19C5 9 11 5 20 4.5C20 14 15.5 19 8.5 18.5M5 19.5c2-5 5-8 9-10",
            Self::Link => {
                "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1"
            }
            Self::Chip => {
                "M8 6.5h8A1.5 1.5 0 0 1 17.5 8v8a1.5 1.5 0 0 1-1.5 1.5H8A1.5 1.5 0 0 1 6.5 16V8A1.5 1.5 0 0 1 8 6.5ZM10 10h4v4h-4ZM10 6.5v-3M14 6.5v-3M10 20.5v-3M14 20.5v-3M6.5 10h-3M6.5 14h-3M20.5 10h-3M20.5 14h-3"
            }
        }
    }
}

/// An icon.
#[component]
pub(crate) fn Icon(shape: Shape) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
            <path d=shape.path()></path>
        </svg>
    }
}
