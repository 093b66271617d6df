//! A server that treats requests as it is told.

use std::collections::VecDeque;

use model::download::{Attempt, Event, Head};

use crate::world::LATENCY;

/// A file on the server.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) bytes: Vec<u8>,
    pub(crate) etag: Option<&'static str>,
}

/// How the server treats a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// As it should.
    Well,
    /// It closes the connection after so many bytes of the body.
    Cut(usize),
    /// It ends the body after so many bytes, as if that were all.
    End(usize),
    /// It sends nothing more after so many bytes.
    Stall(usize),
    /// It sends the whole file, whatever was asked for.
    Whole,
    /// It sends a part that begins elsewhere.
    Elsewhere,
    /// It sends a part of the right length that begins earlier, and says nowhere so: its first bytes come twice.
    Repeat(usize),
    /// It changes a byte.
    Flip(usize),
    /// It sends the file with more behind it, and states no length.
    Longer,
    /// It sends another status, with a wait in seconds.
    Status(u16, Option<u32>),
    /// It sends a page.
    Page,
    /// It compresses a part.
    Encoded,
    /// There is no answer.
    Refuse,
    /// There is none for ever.
    Silence,
}

/// A body on its way.
pub(crate) struct Body {
    pub(crate) item: usize,
    pub(crate) rest: VecDeque<u8>,
    pub(crate) head: Option<Head>,
    pub(crate) ending: Option<Event>,
    pub(crate) due: f64,
}

/// What the server sends.
pub(crate) fn body(
    file: &Served,
    item: usize,
    attempt: Attempt,
    range: Option<(u64, Option<u64>)>,
    answer: &Answer,
    now: f64,
) -> Body {
    let total = file.bytes.len();
    let range = range.filter(|_| *answer != Answer::Whole);
    let mut head = Head {
        status: if range.is_some() { 206 } else { 200 },
        total_bytes: (*answer != Answer::Longer).then_some(total as u64),
        version: file.etag.map(str::to_owned),
        ..Head::default()
    };
    let mut ending = Some(Event::Ended(attempt));
    let (mut from, mut until) = (0, total);
    if let Some((first, last)) = range {
        from = first as usize;
        until = last.map_or(total, |last| (last as usize + 1).min(total));
        head.first_byte = Some(first);
        if let Answer::Repeat(n) = answer {
            let earlier = from.min(*n);
            (from, until) = (from - earlier, until - earlier);
            (head.first_byte, head.total_bytes) = (None, None);
        }
    }
    let mut rest: VecDeque<u8> = VecDeque::new();
    if from >= total && range.is_some() {
        head.status = 416;
    } else {
        rest.extend(&file.bytes[from..until]);
    }
    let broke = || Some(Event::Broke(attempt, "reset".to_owned()));
    match answer {
        Answer::Well | Answer::Whole | Answer::Repeat(_) => {}
        Answer::Cut(at) => (ending, rest) = (broke(), cut(rest, *at)),
        Answer::End(at) => rest = cut(rest, *at),
        Answer::Stall(at) => (ending, rest) = (None, cut(rest, *at)),
        Answer::Elsewhere => head.first_byte = head.first_byte.map(|byte| byte.saturating_sub(7)),
        Answer::Flip(at) => {
            if let Some(byte) = rest.get_mut(*at) {
                *byte ^= 0x10;
            }
        }
        Answer::Longer => rest.extend([7; 10]),
        Answer::Status(status, seconds) => {
            head = Head {
                status: *status,
                retry_after_millis: seconds.map(|seconds| f64::from(seconds) * 1000.0),
                ..Head::default()
            };
            rest.clear();
        }
        Answer::Page => {
            head = Head {
                status: 200,
                is_page: true,
                ..Head::default()
            };
            rest = [b'<'; 50].into();
        }
        Answer::Encoded => head.is_encoded = range.is_some(),
        Answer::Refuse | Answer::Silence => {
            ending = if *answer == Answer::Refuse {
                broke()
            } else {
                None
            };
            return Body {
                item,
                rest: VecDeque::new(),
                head: None,
                ending,
                due: now + LATENCY,
            };
        }
    }
    Body {
        item,
        rest,
        head: Some(head),
        ending,
        due: now + LATENCY,
    }
}

fn cut(mut bytes: VecDeque<u8>, at: usize) -> VecDeque<u8> {
    bytes.truncate(at);
    bytes
}
