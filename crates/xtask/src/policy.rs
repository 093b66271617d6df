//! The Content-Security-Policies of the site. index.html and `public/_headers` repeat them; `cargo xtask site` compares.

/// The page's policy, in the form that a meta element can carry.
pub(crate) const PAGE: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'";

/// The policy of the dedicated worker, which takes the one of its own response and not the page's. It alone fetches models,
/// and the person may have chosen one on another host (`?model=https://…`); nothing that a model writes ever gets there.
pub(crate) const WORKER: &str =
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' https:";

/// The policy of the worker's own worker, which reads the database and loads nothing.
pub(crate) const READER: &str = "default-src 'none'";

/// The page's policy as a header: a meta element can't forbid framing.
#[must_use]
pub(crate) fn page_header() -> String {
    format!("{PAGE}; frame-ancestors 'none'")
}
