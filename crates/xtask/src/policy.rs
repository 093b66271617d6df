//! The Content-Security-Policies of the site. index.html and `public/_headers` repeat them; `cargo xtask site` compares.

/// The page's policy, in the form that a meta element can carry.
pub(crate) const PAGE: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'";

/// The policy of the dedicated worker, which takes the one of its own response and not the page's. It alone fetches models: from
/// the app's own origin and from the hub with the hosts that it redirects to (`protocol::HUB_SOURCES`). The service worker adds
/// hosts that the person allows, one by one.
pub(crate) const WORKER: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     connect-src 'self' https://huggingface.co https://*.huggingface.co https://*.hf.co";

/// The policy of the worker's own worker, which reads the database and loads nothing.
pub(crate) const READER: &str = "default-src 'none'";

/// The page's policy as a header: a meta element can't forbid framing.
#[must_use]
pub(crate) fn page_header() -> String {
    format!("{PAGE}; frame-ancestors 'none'")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_worker_may_talk_to_the_hosts_that_its_code_takes_for_the_hub_and_to_no_other() {
        let (_, sources) = super::WORKER.split_once("connect-src 'self' ").unwrap();
        let sources: Vec<&str> = sources.split(' ').collect();
        assert_eq!(sources, protocol::HUB_SOURCES);
    }
}
