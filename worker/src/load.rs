//! Packages on servers.

use model::Manifest;
use model::hub::Place;
use model::manifest::MANIFEST_FILE;
use protocol::{Fault, FaultCode};

use crate::fetching::described;
use crate::{Blob, Host, Inbox, Policy};

/// Where a package lies, and what its manifest says.
pub(crate) struct Package {
    /// URL of its folder, with a slash at the end.
    pub(crate) base_url: String,
    /// The checked manifest.
    pub(crate) manifest: Manifest,
}

/// What an address means. It names models on this device or over https.
pub(crate) fn place(address: &str) -> Result<Place, Fault> {
    Place::parse(address).map_err(|error| Fault::new(FaultCode::BadAddress, error.to_string()))
}

/// The place of a stored model that was converted.
pub(crate) fn foreign(key: &str) -> Option<Place> {
    Place::parse(key).ok().filter(Place::is_foreign)
}

/// The key of the model that was stored from an address, whatever addresses were allowed then.
pub(crate) fn key(address: &str) -> String {
    place(address).map_or_else(|_| base_url(address), |place| place.key())
}

/// A package's URL as the store knows it: with a slash at the end.
fn base_url(model_url: &str) -> String {
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
    inbox: &Inbox,
    base_url: String,
) -> Result<(Package, H::Bytes), Fault> {
    let url = format!("{base_url}{MANIFEST_FILE}");
    let max_bytes = policy.max_manifest_bytes;
    let bytes = described(host, policy, inbox, url, MANIFEST_FILE, max_bytes).await?;
    let manifest = Manifest::from_json(&bytes.to_vec())
        .map_err(|error| Fault::new(FaultCode::BadModel, error.to_string()))?;
    Ok((Package { base_url, manifest }, bytes))
}
