//! Packages over the network: manifest, tokenizer and shards, each checked before use.

use model::Manifest;
use model::manifest::{FileHash, MANIFEST_FILE};
use protocol::{Event, Fault, FaultCode, Status};

use crate::{Blob, CacheMode, FetchError, Host, Policy};

/// Where a package lies, and what its manifest says.
pub(crate) struct Package {
    /// URL of its folder, with a slash at the end.
    pub(crate) base_url: String,
    /// The checked manifest.
    pub(crate) manifest: Manifest,
}

/// A package's URL as the store knows it: with a slash at the end.
pub(crate) fn base_url(model_url: &str) -> String {
    let mut base_url = model_url.to_owned();
    if !base_url.ends_with('/') {
        base_url.push('/');
    }
    base_url
}

/// Fetches and checks the manifest of the package at `base_url`. Returns its bytes too.
pub(crate) async fn manifest<H: Host>(
    host: &H,
    policy: &Policy,
    base_url: String,
) -> Result<(Package, H::Bytes), Fault> {
    let url = format!("{base_url}{MANIFEST_FILE}");
    let bytes = fetch(
        host,
        policy,
        &url,
        MANIFEST_FILE,
        policy.max_manifest_bytes,
        CacheMode::Default,
        &mut |_| {},
    )
    .await?;
    let manifest = Manifest::from_json(&bytes.to_vec())
        .map_err(|error| Fault::new(FaultCode::BadModel, error.to_string()))?;
    Ok((Package { base_url, manifest }, bytes))
}

/// Fetches a file of the package. The result has the stated length and hash. What a cache has wrong is fetched once more
/// from the server.
pub(crate) async fn file<H: Host>(
    host: &H,
    policy: &Policy,
    base_url: &str,
    expected: &FileHash,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<H::Bytes, Fault> {
    let url = format!("{base_url}{}", expected.file);
    let mut wrong = None;
    for cache in [CacheMode::Default, CacheMode::Reload] {
        let (name, max_bytes) = (&expected.file, expected.bytes);
        let bytes = match fetch(host, policy, &url, name, max_bytes, cache, on_bytes).await {
            Ok(bytes) => bytes,
            // Too long is as wrong as a wrong hash, and may come from the cache as well.
            Err(fault) if fault.code == FaultCode::Corrupt => {
                wrong = Some(fault);
                continue;
            }
            Err(fault) => return Err(fault),
        };
        let length = bytes.len();
        let hash = host.sha256(&bytes).await.map_err(|detail| {
            corrupt(
                expected,
                &format!("{length} bytes that could not be hashed: {detail}"),
            )
        })?;
        if length == expected.bytes && hash == expected.sha256 {
            return Ok(bytes);
        }
        wrong = Some(corrupt(
            expected,
            &format!("{length} bytes with SHA-256 {hash}"),
        ));
    }
    Err(wrong.unwrap_or_else(|| corrupt(expected, "nothing")))
}

fn corrupt(expected: &FileHash, got: &str) -> Fault {
    Fault::new(
        FaultCode::Corrupt,
        format!(
            "{}: expected {} bytes with SHA-256 {}, got {got}; fetch it again or replace the package on the server",
            expected.file, expected.bytes, expected.sha256
        ),
    )
}

/// Fetches a file, several times if the network fails.
async fn fetch<H: Host>(
    host: &H,
    policy: &Policy,
    url: &str,
    name: &str,
    max_bytes: u64,
    cache: CacheMode,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<H::Bytes, Fault> {
    let mut waits = policy.fetch_waits_millis.iter();
    let mut attempt = 1;
    loop {
        let error = match host.fetch(url, max_bytes, cache, on_bytes).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        match waits.next() {
            Some(&millis) if error.is_transient() => {
                attempt += 1;
                host.post(Event::Status(Status::FetchRetry {
                    file: name.to_owned(),
                    attempt,
                }));
                host.sleep(millis).await;
            }
            _ => return Err(fetch_fault(name, max_bytes, &error)),
        }
    }
}

fn fetch_fault(name: &str, max_bytes: u64, error: &FetchError) -> Fault {
    match error {
        FetchError::Status(404 | 410) => Fault::new(
            FaultCode::NotFound,
            format!("{name}: the server has no such file"),
        ),
        FetchError::Status(status) => Fault::new(
            FaultCode::Network,
            format!("{name}: expected HTTP status 200, got {status}"),
        ),
        FetchError::TooLong => Fault::new(
            FaultCode::Corrupt,
            format!("{name}: expected at most {max_bytes} bytes, got more"),
        ),
        FetchError::Network(detail) => Fault::new(FaultCode::Network, format!("{name}: {detail}")),
    }
}
