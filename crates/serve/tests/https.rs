//! The certificates, judged by a TLS client that trusts nothing but the authority.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serve::{Authority, ServerCertificate};

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&folder).ok();
    folder
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_authority_is_kept_and_only_its_owner_can_read_the_key() {
    let folder = folder("authority");
    let first = Authority::load_or_create(&folder).unwrap();
    let second = Authority::load_or_create(&folder).unwrap();
    assert_eq!(first.certificate(), second.certificate());
    assert_eq!(first.fingerprint(), second.fingerprint());
    assert_eq!(first.fingerprint().len(), 32 * 3 - 1);
    let mode = fs::metadata(folder.join("ca-key.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn names_beyond_the_local_network_are_refused() {
    let authority = Authority::load_or_create(&folder("refused")).unwrap();
    for name in [
        "example.org",
        "8.8.8.8",
        "2001:db8::1",
        "local",
        "notlocal",
        "a.local.example.org",
    ] {
        let error = authority.issue(&names(&["localhost", name])).unwrap_err();
        assert!(error.to_string().ends_with(name), "{error}");
    }
    authority
        .issue(&names(&[
            "localhost",
            "box.local",
            "127.0.0.1",
            "192.168.7.8",
            "fd00::1",
        ]))
        .unwrap();
}

#[test]
fn a_device_that_trusts_the_authority_connects_also_after_a_restart_of_the_server() {
    let folder = folder("handshake");
    let trusted = Authority::load_or_create(&folder)
        .unwrap()
        .certificate()
        .to_vec();
    let again = Authority::load_or_create(&folder).unwrap();
    let certificate = again
        .issue(&names(&[
            "localhost",
            "box.local",
            "127.0.0.1",
            "192.168.7.8",
            "fd00::1",
        ]))
        .unwrap();
    let stranger = Authority::load_or_create(&folder.join("other"))
        .unwrap()
        .certificate()
        .to_vec();
    let address = server(certificate);
    for name in [
        "localhost",
        "box.local",
        "127.0.0.1",
        "192.168.7.8",
        "fd00::1",
    ] {
        let reply = get(address, &trusted, name).unwrap();
        assert!(reply.starts_with("HTTP/1.1 404"), "{name}: {reply}");
        assert!(
            get(address, &stranger, name).is_err(),
            "{name}: a stranger's certificate was trusted"
        );
    }
    for name in ["other.local", "192.168.7.9", "example.org"] {
        assert!(
            get(address, &trusted, name).is_err(),
            "{name} is not in the certificate"
        );
    }
}

/// Answers over https for the rest of the process; it has no files.
fn server(certificate: ServerCertificate) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let config = RustlsConfig::from_der(certificate.chain, certificate.key)
                .await
                .unwrap();
            let server = axum_server::from_tcp_rustls(listener, config).unwrap();
            server
                .serve(axum::Router::new().into_make_service())
                .await
                .unwrap();
        });
    });
    address
}

/// Asks the server by a name, trusting one authority only.
fn get(address: SocketAddr, trusted: &[u8], name: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.to_vec().into()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = name.to_owned().try_into().unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(address)?);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    // The server closes without a farewell; what counts is that it answered.
    match stream.read_to_string(&mut reply) {
        Err(error) if reply.is_empty() => Err(error),
        _ => Ok(reply),
    }
}
