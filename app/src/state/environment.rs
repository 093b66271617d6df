//! Where the page runs, as far as it matters.

use protocol::StorageReport;

/// What the page knows about its surroundings.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// How the browser names itself.
    pub agent: String,
    /// How many processor cores it tells of.
    pub cores: Option<u32>,
    /// How much memory it tells of, in gigabytes, rounded.
    pub memory_gigabytes: Option<f64>,
    /// Whether the page runs as an installed app.
    pub standalone: bool,
    /// Whether this is an iPad or an iPhone.
    pub ios: bool,
    /// Whether the browser has WebGPU.
    pub webgpu: bool,
    /// Whether the page came over HTTPS or from this machine; without it there is no WebGPU.
    pub secure: bool,
    /// Whether there is a network, as far as the browser knows.
    pub online: bool,
    /// Whether nobody sees the page.
    pub hidden: bool,
    /// Whether the browser promised to keep our data; absent before it was asked.
    pub persisted: Option<bool>,
    /// What the models take; absent before the worker said so.
    pub storage: Option<StorageReport>,
    /// Whether another version of the app is ready. Offer it while [`crate::State::can_update`].
    pub update_ready: bool,
    /// How the database does.
    pub database: Database,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            agent: String::new(),
            cores: None,
            memory_gigabytes: None,
            standalone: false,
            ios: false,
            webgpu: true,
            secure: true,
            online: true,
            hidden: false,
            persisted: None,
            storage: None,
            update_ready: false,
            database: Database::Opening,
        }
    }
}

/// How the database of chats does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// It is being opened.
    Opening,
    /// All is stored.
    Open,
    /// It can't be used: chats live in memory until the page is closed. Offer to export them.
    Failed {
        /// Technical line.
        detail: String,
    },
    /// There is no room: what is new lives in memory and is written as soon as there is. Offer to export it.
    Full {
        /// Technical line.
        detail: String,
    },
}

impl Database {
    /// Whether something of the chats would be lost by closing the page.
    #[must_use]
    pub const fn is_in_memory_only(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Full { .. })
    }
}

/// The time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Clock {
    /// Milliseconds since 1970; may jump.
    pub wall_millis: f64,
    /// Milliseconds since some moment; never goes back.
    pub steady_millis: f64,
}
