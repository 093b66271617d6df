//! Each fault as a client meets it: raw requests over a connection, so that nothing smooths over what is really sent.
#![allow(clippy::unwrap_used, reason = "tests")]

mod client;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use client::{Always, N_BYTES, ask, data, server, treated};
use faults::Fault;

#[test]
fn without_a_fault_it_is_a_static_host() {
    let director = Always::default();
    let server = server(director.clone());
    let whole = ask(&server, "/base/data.bin?x=1", "X-Test: yes\r\n");
    assert_eq!((whole.status(), whole.body == data()), (200, true));
    assert_eq!(whole.header("content-length"), Some("200000"));
    let asked = director.asked.lock().unwrap()[0].clone();
    assert_eq!(
        (asked.id, asked.path.as_str(), asked.query.as_deref()),
        (1, "/data.bin", Some("x=1"))
    );
    assert_eq!(asked.headers["x-test"], "yes");
    for (path, status, body) in [
        ("/base/", 200, "<!doctype html>"),
        ("/base/other/a%20b.json", 200, "{}"),
        ("/base/nothing", 404, "not found"),
        ("/base/%2e%2e/site/data.bin", 404, "not found"),
        ("/base/%zz", 404, "not found"),
        ("/elsewhere", 404, "not found"),
    ] {
        let reply = ask(&server, path, "");
        assert_eq!(
            (reply.status(), &*reply.body),
            (status, body.as_bytes()),
            "{path}"
        );
    }
}

#[test]
fn ranges() {
    let server = server(Always::default());
    let data = data();
    for (range, status, content_range, bytes) in [
        ("bytes=10-19", 206, Some("bytes 10-19/200000"), 10..20),
        (
            "bytes=199990-",
            206,
            Some("bytes 199990-199999/200000"),
            199_990..N_BYTES,
        ),
        (
            "bytes=-5",
            206,
            Some("bytes 199995-199999/200000"),
            199_995..N_BYTES,
        ),
        (
            "bytes=5-900000",
            206,
            Some("bytes 5-199999/200000"),
            5..N_BYTES,
        ),
        ("bytes=200000-", 416, Some("bytes */200000"), 0..0),
        ("bytes=9-5", 200, None, 0..N_BYTES),
        ("lines=1-2", 200, None, 0..N_BYTES),
    ] {
        let reply = ask(&server, "/base/data.bin", &format!("Range: {range}\r\n"));
        assert_eq!(
            (reply.status(), reply.header("content-range")),
            (status, content_range),
            "{range}"
        );
        assert_eq!(reply.body, data[bytes], "{range}");
    }
    let (reply, _) = treated(
        Fault {
            ignore_range: true,
            ..Fault::default()
        },
        "Range: bytes=10-19\r\n",
    );
    assert_eq!((reply.status(), reply.body.len()), (200, N_BYTES));
}

#[test]
fn bodies_that_stop() {
    let at = 100_000;
    let stop = |fault| treated(fault, "");
    let (reply, sent) = stop(Fault {
        cut_at: Some(at),
        ..Fault::default()
    });
    assert_eq!(
        (
            reply.header("content-length"),
            reply.body.len(),
            reply.is_reset
        ),
        (Some("200000"), 100_000, false)
    );
    assert_eq!(sent.map(|sent| (sent.bytes, sent.whole)), Some((at, false)));
    let (reply, _) = stop(Fault {
        reset_at: Some(at),
        ..Fault::default()
    });
    assert!(reply.is_reset && reply.body.len() <= 100_000);
    let (reply, _) = stop(Fault {
        stall_at: Some(at),
        ..Fault::default()
    });
    assert_eq!((reply.body.len(), reply.is_reset), (100_000, false));
    let (reply, sent) = stop(Fault {
        end_at: Some(at),
        ..Fault::default()
    });
    assert_eq!(
        (reply.header("content-length"), reply.body.len()),
        (Some("100000"), 100_000)
    );
    assert!(sent.unwrap().whole);
    // Before the first byte.
    let (reply, _) = stop(Fault {
        cut_at: Some(0),
        ..Fault::default()
    });
    assert_eq!((reply.status(), reply.body.len()), (200, 0));
}

#[test]
fn bodies_that_are_wrong() {
    let (reply, _) = treated(
        Fault {
            flip_at: Some(150_000),
            ..Fault::default()
        },
        "",
    );
    let data = data();
    let wrong: Vec<usize> = (0..N_BYTES)
        .filter(|&index| reply.body[index] != data[index])
        .collect();
    assert_eq!(wrong, [150_000]);
    let (reply, _) = treated(
        Fault {
            extra_bytes: 7,
            ..Fault::default()
        },
        "",
    );
    assert_eq!(
        (reply.header("content-length"), reply.body.len()),
        (Some("200007"), 200_007)
    );
    let (reply, _) = treated(
        Fault {
            stated_length: Some(12),
            ..Fault::default()
        },
        "",
    );
    assert_eq!(
        (reply.header("content-length"), reply.body.len()),
        (Some("12"), N_BYTES)
    );
    let (reply, _) = treated(
        Fault {
            gzip: true,
            ..Fault::default()
        },
        "",
    );
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&reply.body[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(unpacked == data);
}

#[test]
fn other_answers() {
    let headers: BTreeMap<String, String> = [("Retry-After".to_owned(), "7".to_owned())].into();
    let fault = Fault {
        status: Some(429),
        body: Some("slow down".to_owned()),
        headers,
        ..Fault::default()
    };
    let (reply, _) = treated(fault, "");
    assert_eq!(
        (reply.status(), reply.header("retry-after"), &*reply.body),
        (429, Some("7"), &b"slow down"[..])
    );
    // Another version of the file.
    let other = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("other.bin");
    fs::write(&other, "another").unwrap();
    let headers = [("etag".to_owned(), "\"two\"".to_owned())].into();
    let (reply, _) = treated(
        Fault {
            file: Some(other),
            headers,
            ..Fault::default()
        },
        "",
    );
    assert_eq!(
        (&*reply.body, reply.header("etag")),
        (&b"another"[..], Some("\"two\""))
    );
}

#[test]
fn speeds() {
    let began = Instant::now();
    let (reply, _) = treated(
        Fault {
            bytes_per_second: Some(500_000),
            send_buffer_bytes: Some(8 << 10),
            ..Fault::default()
        },
        "",
    );
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(reply.body.len(), N_BYTES);
    assert!((0.35..3.0).contains(&seconds), "{seconds} s for 0.4");
    let began = Instant::now();
    let fault = Fault {
        pace_millis: 20,
        piece_bytes: Some(50_000),
        delay_millis: 100,
        ..Fault::default()
    };
    assert_eq!(treated(fault, "").0.body.len(), N_BYTES);
    assert!(began.elapsed() >= Duration::from_millis(180));
    let server = server(Always::default());
    server.throttle(Some(500_000));
    let began = Instant::now();
    assert_eq!(ask(&server, "/base/data.bin", "").body.len(), N_BYTES);
    assert!(began.elapsed() >= Duration::from_millis(350));
}

#[test]
fn a_server_that_is_down_notes_who_came() {
    let director = Always::default();
    let server = server(director.clone());
    server.set_down(true);
    // Who opens a connection and says nothing asked for nothing.
    drop(TcpStream::connect(server.address()).unwrap());
    assert_eq!(ask(&server, "/base/data.bin", "").head, "");
    assert_eq!(
        *director.missed.lock().unwrap(),
        ["GET /base/data.bin HTTP/1.1"]
    );
    server.set_down(false);
    assert_eq!(ask(&server, "/base/data.bin", "").status(), 200);
}

#[test]
fn connections_are_used_again() {
    let server = server(Always::default());
    let mut stream = TcpStream::connect(server.address()).unwrap();
    for _ in 0..3 {
        write!(
            stream,
            "GET /base/other/a%20b.json HTTP/1.1\r\nHost: h\r\n\r\n"
        )
        .unwrap();
        let mut reply = vec![0; 1000];
        let mut length = 0;
        while !reply[..length].ends_with(b"{}") {
            let n_bytes = stream.read(&mut reply[length..]).unwrap();
            assert!(n_bytes > 0);
            length += n_bytes;
        }
    }
    // A body that nobody asked for is none.
    write!(
        stream,
        "HEAD /base/data.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(
        reply.contains("Content-Length: 200000\r\n") && reply.ends_with("\r\n\r\n"),
        "{reply}"
    );
}

#[test]
fn plans_are_written_as_json() {
    let fault: Fault =
        serde_json::from_str(r#"{"cutAt": 5, "headers": {"ETag": "x"}, "bytesPerSecond": 9}"#)
            .unwrap();
    assert_eq!(
        (
            fault.cut_at,
            fault.bytes_per_second,
            fault.headers["ETag"].as_str()
        ),
        (Some(5), Some(9), "x")
    );
    assert!(
        serde_json::from_str::<Fault>(r#"{"cutat": 5}"#).is_err(),
        "a slip must not pass as no fault"
    );
}
