//! The server as a program, directed over its standard input and output, one JSON text a line.
//!
//! In: first `{"base": "/", "mounts": {"/": "dist"}, "repositories": {"owner/name": {"folder": "..."}}}`, then
//! `{"reply": {"id": 3, "fault": {...}}}` for every request, `{"mount": {"prefix": "/models/", "folder": "..."}}`,
//! `{"publish": {"name": "owner/name", "repository": {"folder": "..."}}}`, `{"throttle": {"bytesPerSecond": 1000000}}`,
//! `{"down": true}`.
//! Out: `{"listening": {"port": 40000, "storePort": 40001}}`, `{"asked": {...}}`, `{"sent": {...}}`, `{"missed": "GET / HTTP/1.1"}`,
//! `{"done": 1}` behind each command but a reply, in order. When the input ends, the program does.
#![allow(clippy::print_stdout, reason = "standard output is the wire")]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use faults::{Asked, Director, Fault, Repository, Sent, Server, Site};
use serde::Deserialize;
use serde_json::{Value, json};

/// The first line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    base: String,
    mounts: BTreeMap<String, PathBuf>,
    #[serde(default)]
    repositories: BTreeMap<String, Repository>,
}

/// Every other line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Command {
    Reply {
        id: u64,
        fault: Box<Fault>,
    },
    Mount {
        prefix: String,
        folder: PathBuf,
    },
    Publish {
        name: String,
        repository: Repository,
    },
    #[serde(rename_all = "camelCase")]
    Throttle {
        bytes_per_second: Option<u64>,
    },
    Down(bool),
}

/// Requests that wait for their reply.
#[derive(Default)]
struct Waiting(Mutex<HashMap<u64, Sender<Fault>>>);

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Sender<Fault>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks over the wire.
struct Remote(Arc<Waiting>);

impl Director for Remote {
    fn decide(&self, asked: &Asked) -> Fault {
        let (sender, receiver) = channel();
        self.0.lock().insert(asked.id, sender);
        tell(&json!({ "asked": asked }));
        // Without an answer the program is ending.
        receiver.recv().unwrap_or_default()
    }

    fn sent(&self, sent: Sent) {
        tell(&json!({ "sent": sent }));
    }

    fn missed(&self, line: &str) {
        tell(&json!({ "missed": line }));
    }
}

fn tell(message: &Value) {
    let mut out = std::io::stdout().lock();
    // Whoever listened is gone when this fails, and with it the input, which ends the program.
    writeln!(out, "{message}").and_then(|()| out.flush()).ok();
}

fn main() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let opening = lines
        .next()
        .context("expected a first line with base and mounts, got nothing")??;
    let Opening {
        base,
        mounts,
        repositories,
    } = serde_json::from_str(&opening).context("the first line can't be read")?;
    let site = Site {
        base,
        mounts,
        repositories,
    };
    let waiting = Arc::new(Waiting::default());
    let server = Server::start(site, Remote(Arc::clone(&waiting)))?;
    let store_port = server.store_address().map(|store| store.port());
    tell(&json!({ "listening": { "port": server.address().port(), "storePort": store_port } }));
    let mut done = 0;
    for line in lines {
        let line = line?;
        match serde_json::from_str(&line)
            .with_context(|| format!("this line can't be read: {line}"))?
        {
            Command::Reply { id, fault } => {
                let sender = waiting
                    .lock()
                    .remove(&id)
                    .with_context(|| format!("no request {id} waits"))?;
                // Its connection may be gone.
                sender.send(*fault).ok();
                continue;
            }
            Command::Mount { prefix, folder } => server.mount(prefix, folder),
            Command::Publish { name, repository } => server.publish(name, repository)?,
            Command::Throttle { bytes_per_second } => server.throttle(bytes_per_second),
            Command::Down(is_down) => server.set_down(is_down),
        }
        done += 1;
        tell(&json!({ "done": done }));
    }
    Ok(())
}
