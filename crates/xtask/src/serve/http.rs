//! A small HTTP/1.1 server for static files: one thread a connection, keep-alive, GET and HEAD.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::static_files::{self, Reply};

/// Longest request line or header line, and most header lines, that are read.
const MAX_LINE_BYTES: u64 = 16 * 1024;
const MAX_HEADERS: usize = 100;
/// An idle connection is closed after this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers connections for ever.
pub(crate) fn serve(listener: &TcpListener, folder: &Path) -> Result<()> {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let folder = folder.to_path_buf();
        thread::spawn(move || {
            // A browser that closes its end in the middle is normal: there is nobody to tell.
            connection(stream, &folder).ok();
        });
    }
    Ok(())
}

/// The parts of a request that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// `GET`, `HEAD`, …
    pub(crate) method: String,
    /// The target as sent: path and query, percent-encoded.
    pub(crate) target: String,
    /// Value of `Range`.
    pub(crate) range: Option<String>,
    /// Value of `If-None-Match`.
    pub(crate) if_none_match: Option<String>,
    /// Whether the connection stays open afterwards.
    pub(crate) keep_alive: bool,
}

fn connection(stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let request = match read_request(&mut reader)? {
            Parsed::Request(request) => request,
            Parsed::Closed => return Ok(()),
            Parsed::Bad => {
                return write_reply(&mut writer, Reply::error(400, "bad request"), true, false);
            }
        };
        let body = request.method != "HEAD";
        let reply = static_files::answer(folder, &request);
        write_reply(&mut writer, reply, body, request.keep_alive)?;
        if !request.keep_alive {
            return Ok(());
        }
    }
}

enum Parsed {
    Request(Request),
    Closed,
    Bad,
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Parsed> {
    let Some(line) = read_line(reader)? else {
        return Ok(Parsed::Closed);
    };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Ok(Parsed::Bad);
    };
    if !version.starts_with("HTTP/1.") {
        return Ok(Parsed::Bad);
    }
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        keep_alive: version == "HTTP/1.1",
        ..Request::default()
    };
    for _ in 0..MAX_HEADERS {
        let Some(line) = read_line(reader)? else {
            return Ok(Parsed::Bad);
        };
        if line.is_empty() {
            return Ok(Parsed::Request(request));
        }
        let Some((name, value)) = line.split_once(':') else {
            return Ok(Parsed::Bad);
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "if-none-match" => request.if_none_match = Some(value.to_owned()),
            "connection" if value.eq_ignore_ascii_case("close") => request.keep_alive = false,
            // A body is never wanted, and skipping it is not worth the code: answer and close.
            "content-length" | "transfer-encoding" if value != "0" => request.keep_alive = false,
            _ => {}
        }
    }
    Ok(Parsed::Bad)
}

/// One line without its end; `None` at the end of the stream or for a line that is too long.
fn read_line(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    reader
        .by_ref()
        .take(MAX_LINE_BYTES)
        .read_until(b'\n', &mut bytes)?;
    if bytes.last() != Some(&b'\n') {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(&bytes);
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn write_reply(
    writer: &mut TcpStream,
    reply: Reply,
    with_body: bool,
    keep_alive: bool,
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status));
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let connection = if keep_alive { "keep-alive" } else { "close" };
    head.push_str(&format!(
        "Content-Length: {}\r\nConnection: {connection}\r\n\r\n",
        reply.length
    ));
    writer.write_all(head.as_bytes())?;
    if with_body && let Some(mut body) = reply.body {
        std::io::copy(&mut body, writer)?;
    }
    writer.flush()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Serves a folder with two files for the rest of the process and sends it raw requests.
    fn server(name: &str) -> std::net::SocketAddr {
        let folder = crate::shell::target_dir().join("tmp").join(name);
        fs::create_dir_all(folder.join("models")).unwrap();
        fs::write(folder.join("index.html"), "<!doctype html>").unwrap();
        fs::write(folder.join("models/w.bin"), (0..=255).collect::<Vec<u8>>()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener, &folder));
        address
    }

    fn send(address: std::net::SocketAddr, request: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let split = reply.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        (
            String::from_utf8(reply[..split].to_vec()).unwrap(),
            reply[split + 4..].to_vec(),
        )
    }

    #[test]
    fn whole_files_ranges_and_heads() {
        let address = server("serve-http");
        let get = |more: &str| send(address, &format!("{more}Connection: close\r\n\r\n"));

        let (head, body) = get("GET / HTTP/1.1\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(
            head.contains("Content-Type: text/html; charset=utf-8")
                && head.contains("Cache-Control: no-store"),
            "{head}"
        );
        assert_eq!(body, b"<!doctype html>");

        let (head, body) = get("GET /models/w.bin HTTP/1.1\r\nRange: bytes=10-19\r\n");
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        assert!(
            head.contains("Content-Range: bytes 10-19/256") && head.contains("Content-Length: 10"),
            "{head}"
        );
        assert_eq!(body, (10..20).collect::<Vec<u8>>());

        let (head, body) = get("HEAD /models/w.bin HTTP/1.1\r\n");
        assert!(
            head.contains("Content-Length: 256") && body.is_empty(),
            "{head}"
        );

        let (head, _) = get("GET /models/w.bin HTTP/1.1\r\nRange: bytes=256-\r\n");
        assert!(
            head.starts_with("HTTP/1.1 416") && head.contains("Content-Range: bytes */256"),
            "{head}"
        );
        let (head, _) = get("POST / HTTP/1.1\r\n");
        assert!(head.starts_with("HTTP/1.1 405"), "{head}");
        let (head, _) = get("nonsense\r\n");
        assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    }

    #[test]
    fn a_connection_answers_several_requests() {
        let address = server("serve-keep-alive");
        let two =
            "HEAD / HTTP/1.1\r\n\r\nGET /models/w.bin?x=1 HTTP/1.1\r\nConnection: close\r\n\r\n";
        let (head, rest) = send(address, two);
        assert!(head.contains("Connection: keep-alive"), "{head}");
        assert!(rest.starts_with(b"HTTP/1.1 200") && rest.ends_with(&[254, 255]));
    }
}
