//! Packages over the network: manifest, tokenizer and shards, each checked before use.

use model::Manifest;
use model::manifest::{FileHash, MANIFEST_FILE};
use protocol::{
    ByteCount, Event, Fault, FaultCode, LoadProgress, LoadStage, RequestId, Settings, Status,
};

use crate::{CacheMode, Engine, EngineFault, FetchError, Host, Loader, Policy};

/// Where a package lies, and what its manifest says.
pub(crate) struct Package {
    /// URL of its folder, with a slash at the end.
    pub(crate) base_url: String,
    /// The checked manifest.
    pub(crate) manifest: Manifest,
}

/// Fetches and checks the manifest of the package at `base_url`.
pub(crate) async fn manifest(
    host: &impl Host,
    policy: &Policy,
    base_url: &str,
) -> Result<Package, Fault> {
    let mut base_url = base_url.to_owned();
    if !base_url.ends_with('/') {
        base_url.push('/');
    }
    let url = format!("{base_url}{MANIFEST_FILE}");
    let bytes = fetch(
        host,
        policy,
        &url,
        MANIFEST_FILE,
        policy.max_manifest_bytes,
        CacheMode::Default,
    )
    .await?;
    let manifest = Manifest::from_json(&bytes)
        .map_err(|error| Fault::new(FaultCode::BadModel, error.to_string()))?;
    Ok(Package { base_url, manifest })
}

/// Fetches a file of the package. The result has the stated length and hash. What a cache has wrong is fetched once more
/// from the server.
pub(crate) async fn file(
    host: &impl Host,
    policy: &Policy,
    base_url: &str,
    expected: &FileHash,
) -> Result<Vec<u8>, Fault> {
    let url = format!("{base_url}{}", expected.file);
    let mut wrong = None;
    for cache in [CacheMode::Default, CacheMode::Reload] {
        let bytes = match fetch(host, policy, &url, &expected.file, expected.bytes, cache).await {
            Ok(bytes) => bytes,
            // Too long is as wrong as a wrong hash, and may come from the cache as well.
            Err(fault) if fault.code == FaultCode::Corrupt => {
                wrong = Some(fault);
                continue;
            }
            Err(fault) => return Err(fault),
        };
        let length = bytes.len() as u64;
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
async fn fetch(
    host: &impl Host,
    policy: &Policy,
    url: &str,
    name: &str,
    max_bytes: u64,
    cache: CacheMode,
) -> Result<Vec<u8>, Fault> {
    let mut waits = policy.fetch_waits_millis.iter();
    let mut attempt = 1;
    loop {
        let error = match host.fetch(url, max_bytes, cache).await {
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

/// Opens a device and puts the package's weights on it, one shard at a time; no shard is held twice.
pub(crate) async fn session<H: Host, E: Engine>(
    host: &H,
    engine: &E,
    policy: &Policy,
    package: &Package,
    settings: &Settings,
    id: RequestId,
) -> Result<E::Session, EngineFault> {
    let shards = &package.manifest.shards;
    let bytes_total = shards
        .iter()
        .fold(0u64, |sum, shard| sum.saturating_add(shard.bytes));
    let mut progress = LoadProgress {
        stage: LoadStage::Download,
        shards_done: 0,
        shards_total: u32::try_from(shards.len()).unwrap_or(u32::MAX),
        bytes_done: ByteCount::default(),
        bytes_total: ByteCount::saturating(bytes_total),
        fetched_bytes: ByteCount::default(),
    };
    host.post(Event::Loading { id, progress });
    let mut loader = engine.open(&package.manifest, settings).await?;
    for (index, shard) in (0u32..).zip(shards) {
        let bytes = file(host, policy, &package.base_url, shard)
            .await
            .map_err(EngineFault::Fault)?;
        loader.push_shard(index, &bytes).await?;
        progress.shards_done = index + 1;
        progress.bytes_done =
            ByteCount::saturating(progress.bytes_done.get().saturating_add(shard.bytes));
        progress.fetched_bytes = progress.bytes_done;
        host.post(Event::Loading { id, progress });
    }
    progress.stage = LoadStage::Prepare;
    host.post(Event::Loading { id, progress });
    loader.finish().await
}
