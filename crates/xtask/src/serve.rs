//! `cargo xtask serve`: builds the app and serves `dist/` over HTTP on this machine.

mod http;
mod static_files;

use std::net::{TcpListener, ToSocketAddrs as _};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{dist, shell};

/// Options of `cargo xtask serve`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Port to listen on
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on; the default is reachable from this machine only, and browsers offer WebGPU on other addresses
    /// only over https
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Serve dist/ as it is, without building
    #[arg(long)]
    no_build: bool,
    #[command(flatten)]
    dist: dist::Options,
}

/// Builds, listens, prints the address and serves until the process is ended.
pub(crate) fn run(options: &Options) -> Result<()> {
    let address = (options.host.as_str(), options.port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .with_context(|| format!("--host {}: not an address of this machine", options.host))?;
    // Listen first: a port that is taken should not cost a build.
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; choose another port with --port"))?;
    if !options.no_build {
        dist::run(&options.dist)?;
    }
    let folder = shell::root().join("dist");
    anyhow::ensure!(
        folder.join("index.html").is_file(),
        "dist/index.html is missing; run without --no-build"
    );
    println!(
        "\nTern is at http://{}/ (Ctrl-C ends it)",
        listener.local_addr()?
    );
    http::serve(&listener, &folder)
}
