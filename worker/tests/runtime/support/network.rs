//! A server and the way to it, which go wrong as they are told.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use model::download::Head;
use worker::{Ask, AskError, Body, Forbidden};

use super::World;

/// How a request is treated. Those that name a number of bytes mean bytes of the body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mishap {
    /// It goes well.
    None,
    /// No answer.
    Unreachable,
    /// A host that nobody has allowed.
    Forbidden(Forbidden),
    /// Another status, and seconds to wait.
    Status(u16, Option<u32>),
    /// These bytes instead.
    Other(Vec<u8>),
    /// A web page instead.
    Page,
    /// The connection breaks after so many bytes.
    Cut(usize),
    /// The body ends after so many bytes.
    Short(usize),
    /// Nothing comes after so many bytes.
    Stall(usize),
    /// The whole file, whatever was asked for.
    Whole,
    /// A bit of the body's byte of this number is another one.
    Flip(usize),
}

/// What is on the server, and what was asked of it.
#[derive(Default)]
pub(crate) struct Network {
    pub(crate) files: RefCell<HashMap<String, Vec<u8>>>,
    /// For each URL ending: how its next requests are treated.
    pub(crate) mishaps: RefCell<HashMap<&'static str, VecDeque<Mishap>>>,
    /// What the server calls the version of its files.
    pub(crate) version: Cell<&'static str>,
    /// Whether the server names no versions.
    pub(crate) is_nameless: Cell<bool>,
    /// Milliseconds that each piece but the first takes.
    pub(crate) slowness: Cell<u32>,
    /// Bytes of a piece; 0 = half of a body.
    pub(crate) piece_bytes: Cell<usize>,
    /// Every request.
    pub(crate) asked: RefCell<Vec<Ask>>,
    /// Bytes that were sent in all, and those of weights.
    pub(crate) sent_bytes: Cell<u64>,
    pub(crate) shard_bytes: Cell<u64>,
    /// Most bodies that were open at the same time, and how many are.
    pub(crate) most_open: Cell<usize>,
    open: Cell<usize>,
}

impl Network {
    fn mishap(&self, url: &str) -> Mishap {
        let mut mishaps = self.mishaps.borrow_mut();
        let mut own = mishaps
            .iter_mut()
            .filter(|(ending, _)| url.ends_with(**ending));
        own.find_map(|(_, mishaps)| mishaps.pop_front())
            .unwrap_or(Mishap::None)
    }
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Broken,
    Silent,
}

/// An answer on its way.
pub(crate) struct Answer {
    world: Rc<World>,
    is_shard: bool,
    rest: Vec<u8>,
    piece: Vec<u8>,
    piece_bytes: usize,
    is_first: bool,
    ending: Ending,
}

impl Drop for Answer {
    fn drop(&mut self) {
        let open = &self.world.network.open;
        open.set(open.get() - 1);
    }
}

/// Asks the server.
pub(crate) async fn ask(world: &Rc<World>, ask: Ask) -> Result<(Head, Answer), AskError> {
    let network = &world.network;
    network.asked.borrow_mut().push(ask.clone());
    world.wait(10).await;
    let mishap = network.mishap(&ask.url);
    match mishap {
        Mishap::Unreachable => return Err(AskError::Network("reset".into())),
        Mishap::Forbidden(forbidden) => return Err(forbidden.into()),
        _ => {}
    }
    let file = network.files.borrow().get(&ask.url).cloned();
    let (mut head, body) = answer(&ask, file.as_deref(), &mishap);
    if head.version.is_some() {
        let version = format!("\"{}\"", network.version.get());
        head.version = Some(version).filter(|_| !network.is_nameless.get());
    }
    let ending = match mishap {
        Mishap::Cut(_) => Ending::Broken,
        Mishap::Stall(_) => Ending::Silent,
        _ => Ending::Whole,
    };
    let open = network.open.get() + 1;
    network.open.set(open);
    network.most_open.set(network.most_open.get().max(open));
    let piece_bytes = match network.piece_bytes.get() {
        0 => body.len().div_ceil(2).max(1),
        bytes => bytes,
    };
    let answer = Answer {
        world: Rc::clone(world),
        is_shard: ask.url.ends_with(".bin"),
        rest: body,
        piece: Vec::new(),
        piece_bytes,
        is_first: true,
        ending,
    };
    Ok((head, answer))
}

fn answer(ask: &Ask, file: Option<&[u8]>, mishap: &Mishap) -> (Head, Vec<u8>) {
    let status = |status, seconds: Option<u32>| Head {
        status,
        retry_after_millis: seconds.map(|seconds| f64::from(seconds) * 1000.0),
        ..Head::default()
    };
    if let Mishap::Status(code, seconds) = mishap {
        return (status(*code, *seconds), Vec::new());
    }
    if *mishap == Mishap::Page {
        let head = Head {
            is_page: true,
            ..status(200, None)
        };
        return (head, b"<html>".to_vec());
    }
    let Some(file) = file else {
        return (status(404, None), Vec::new());
    };
    let file = match mishap {
        Mishap::Other(bytes) => bytes,
        _ => file,
    };
    let range = ask.range.filter(|_| *mishap != Mishap::Whole);
    let first = range.map_or(0, |(first, _)| first as usize);
    if range.is_some() && first >= file.len() {
        return (status(416, None), Vec::new());
    }
    let end = range
        .and_then(|(_, last)| last)
        .map_or(file.len(), |last| last as usize + 1);
    let mut body = file[first..end.min(file.len())].to_vec();
    let head = Head {
        total_bytes: Some(file.len() as u64),
        first_byte: range.map(|(first, _)| first),
        version: Some("\"one\"".into()),
        ..status(if range.is_some() { 206 } else { 200 }, None)
    };
    match mishap {
        Mishap::Cut(bytes) | Mishap::Short(bytes) | Mishap::Stall(bytes) => body.truncate(*bytes),
        Mishap::Flip(byte) => body[*byte] ^= 4,
        _ => {}
    }
    (head, body)
}

impl Body for Answer {
    type Buffer = Vec<u8>;

    async fn next(&mut self) -> Result<Option<u64>, String> {
        if !std::mem::replace(&mut self.is_first, false) {
            self.world.wait(self.world.network.slowness.get()).await;
        }
        if self.rest.is_empty() {
            return match self.ending {
                Ending::Whole => Ok(None),
                Ending::Broken => Err("cut".into()),
                Ending::Silent => std::future::pending().await,
            };
        }
        let n_bytes = self.piece_bytes.min(self.rest.len());
        self.piece = self.rest.drain(..n_bytes).collect();
        let network = &self.world.network;
        let sent = &network.sent_bytes;
        sent.set(sent.get() + n_bytes as u64);
        if self.is_shard {
            let sent = &network.shard_bytes;
            sent.set(sent.get() + n_bytes as u64);
        }
        Ok(Some(n_bytes as u64))
    }

    fn copy(&self, part: Range<u64>, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.piece[part.start as usize..part.end as usize]);
    }
}
