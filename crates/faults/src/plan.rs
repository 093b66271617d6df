//! What a server is told, and what it tells.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A request, before it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Number of the request, from 1.
    pub id: u64,
    /// `GET` or `HEAD`, or what else was sent.
    pub method: String,
    /// The path below the base, decoded, with a slash in front.
    pub path: String,
    /// What stands behind `?`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Its number.
    pub id: u64,
    /// Bytes of the body that the system took for sending.
    pub bytes: u64,
    /// Whether the whole answer was sent as planned.
    pub whole: bool,
}

/// How a request is treated. Nothing planned: as a static host would, with ranges, an `ETag` and keep-alive. Places are
/// counted in bytes of the body that is sent, the range's first one being 0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Fault {
    /// Waits before anything is sent.
    pub delay_millis: u64,
    /// Answers with this status and `body` instead of a file.
    pub status: Option<u16>,
    /// Body of such an answer.
    pub body: Option<String>,
    /// Headers in addition to, or instead of, the usual ones.
    pub headers: BTreeMap<String, String>,
    /// Sends this file instead of the one that the path means.
    pub file: Option<PathBuf>,
    /// Sends the whole file with status 200, whatever part was asked for.
    pub ignore_range: bool,
    /// Closes the connection behind so many bytes, as a server that is stopped does.
    pub cut_at: Option<u64>,
    /// Resets it there, as a router that forgot the connection does.
    pub reset_at: Option<u64>,
    /// Sends nothing more from there and keeps the connection.
    pub stall_at: Option<u64>,
    /// Ends the body there, and states that length: as if the file were shorter.
    pub end_at: Option<u64>,
    /// States this length whatever is sent.
    pub stated_length: Option<u64>,
    /// Sends so many bytes more than the file has, and states them.
    pub extra_bytes: u64,
    /// Changes one bit of the byte there.
    pub flip_at: Option<u64>,
    /// Compresses the body.
    pub gzip: bool,
    /// Waits before each piece.
    pub pace_millis: u64,
    /// Most bytes of a piece.
    pub piece_bytes: Option<u64>,
    /// Most bytes a second on this connection.
    pub bytes_per_second: Option<u64>,
    /// Size of the system's send buffer, so that what was sent is about what has arrived.
    pub send_buffer_bytes: Option<usize>,
}

impl Fault {
    /// Where the body stops short of its end, if it does.
    pub(crate) fn stops_at(&self) -> Option<u64> {
        [self.cut_at, self.reset_at, self.stall_at]
            .into_iter()
            .flatten()
            .min()
    }
}
