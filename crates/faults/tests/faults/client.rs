//! A client and a director for the tests.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faults::{Asked, Director, Fault, Sent, Server, Site};

pub(crate) const N_BYTES: usize = 200_000;

pub(crate) fn data() -> Vec<u8> {
    (0..N_BYTES).map(|index| (index % 251) as u8).collect()
}

/// Treats every request alike, and remembers what it heard.
#[derive(Clone, Default)]
pub(crate) struct Always {
    pub(crate) fault: Fault,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    pub(crate) sent: Arc<Mutex<Vec<Sent>>>,
    pub(crate) missed: Arc<Mutex<Vec<String>>>,
}

impl Director for Always {
    fn decide(&self, asked: &Asked) -> Fault {
        self.asked.lock().unwrap().push(asked.clone());
        self.fault.clone()
    }
    fn sent(&self, sent: Sent) {
        self.sent.lock().unwrap().push(sent);
    }
    fn missed(&self, line: &str) {
        self.missed.lock().unwrap().push(line.to_owned());
    }
}

pub(crate) fn server(director: impl Director) -> Server {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("site");
    fs::create_dir_all(folder.join("inner")).unwrap();
    for (name, bytes) in [
        ("data.bin", data()),
        ("index.html", b"<!doctype html>".to_vec()),
        ("inner/a b.json", b"{}".to_vec()),
    ] {
        let path = folder.join(name);
        if !path.exists() {
            fs::write(path, bytes).unwrap();
        }
    }
    let mounts = [
        ("/".to_owned(), folder.clone()),
        ("/other/".to_owned(), folder.join("inner")),
    ];
    Server::start(
        Site {
            base: "/base/".to_owned(),
            mounts: mounts.into(),
            ..Site::default()
        },
        director,
    )
    .unwrap()
}

pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the connection was reset, not closed.
    pub(crate) is_reset: bool,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }
}

pub(crate) fn ask(server: &Server, path: &str, headers: &str) -> Reply {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(700)))
        .unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n"
    )
    .unwrap();
    let mut reply = Vec::new();
    let result = stream.read_to_end(&mut reply);
    let is_reset = result.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
    let split = reply
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or(reply.len());
    Reply {
        head: String::from_utf8(reply[..split].to_vec()).unwrap(),
        body: reply.get(split + 4..).unwrap_or_default().to_vec(),
        is_reset,
    }
}

/// The reply to a request for the data under a fault.
pub(crate) fn treated(fault: Fault, headers: &str) -> (Reply, Option<Sent>) {
    let director = Always {
        fault,
        ..Always::default()
    };
    let reply = ask(&server(director.clone()), "/base/data.bin", headers);
    std::thread::sleep(Duration::from_millis(30));
    let sent = director.sent.lock().unwrap().first().copied();
    (reply, sent)
}
