//! The site: files of a folder below a base path, compressed, in ranges, with the headers of its `_headers` file.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use tower::ServiceExt as _;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate as _};
use tower_http::services::ServeDir;

use crate::headers::{self, Rules};

/// What every request needs.
#[derive(Clone)]
struct Site {
    /// The path that the site lies below: empty, or `/some/path`.
    base: Arc<str>,
    rules: Arc<Rules>,
    files: ServeDir,
}

/// The service that answers for the files in `folder` below `base` (`/`, `/some/path` or `some/path/`).
///
/// # Errors
/// The folder's `_headers` file says something that nobody understands.
pub fn router(folder: &Path, base: &str) -> Result<Router> {
    let file = folder.join(headers::FILE);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context(format!("cannot read {}", file.display())),
    };
    let site = Site {
        base: normal_base(base).into(),
        rules: Arc::new(Rules::parse(&text)?),
        files: ServeDir::new(folder).ignore_multi_range_requests(true),
    };
    // Weights are as small as they get: compressing them costs time, and their length and ranges.
    let compressible =
        DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream"));
    Ok(Router::new()
        .fallback(answer)
        .with_state(site)
        .layer(CompressionLayer::new().compress_when(compressible)))
}

/// A base path with a slash in front and none behind; empty for the root.
#[must_use]
pub fn normal_base(base: &str) -> String {
    let inner = base.trim_matches('/');
    if inner.is_empty() {
        String::new()
    } else {
        format!("/{inner}")
    }
}

async fn answer(State(site): State<Site>, mut request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let Some(below) = path
        .strip_prefix(&*site.base)
        .filter(|below| below.is_empty() || below.starts_with('/'))
    else {
        return if path == "/" {
            Redirect::temporary(&format!("{}/", site.base)).into_response()
        } else {
            plain(StatusCode::NOT_FOUND, "not found")
        };
    };
    // The page's addresses are relative, so its own address must end with a slash.
    if below.is_empty() {
        return Redirect::temporary(&format!("{path}/")).into_response();
    }
    if below.split('/').any(|name| name == headers::FILE) {
        return plain(StatusCode::NOT_FOUND, "not found");
    }
    let target = request
        .uri()
        .query()
        .map_or_else(|| below.to_owned(), |query| format!("{below}?{query}"));
    let Ok(uri) = Uri::try_from(target) else {
        return plain(StatusCode::BAD_REQUEST, "bad path");
    };
    *request.uri_mut() = uri;
    let Ok(mut response) = site
        .files
        .oneshot(request)
        .await
        .map(|response| response.map(Body::new));
    let missing = response.status() == StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    // Kept copies are asked about each time, unless a rule knows better.
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(if missing { "no-store" } else { "no-cache" }),
    );
    if !missing {
        site.rules.apply(below, headers);
    }
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}
