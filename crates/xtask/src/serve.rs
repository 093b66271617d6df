//! `cargo xtask serve`: builds the app and serves `dist/`, on this machine or, with `--https`, on the local network.
//!
//! The server itself is the crate `serve`, built only when it is wanted: its dependencies would make every other command slow
//! to compile.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{dist, shell};

/// Options of `cargo xtask serve`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Port to listen on
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on [default: 127.0.0.1, with --https all addresses]
    #[arg(long)]
    host: Option<IpAddr>,
    /// Path to serve the app below, as project pages do, for instance /tern
    #[arg(long, default_value = "/")]
    base: String,
    /// Serve on the local network over https, with a certificate of this checkout's own (docs/DEPLOY.md); over plain http
    /// other devices get no WebGPU, no service worker and no checksums
    #[arg(long)]
    https: bool,
    /// Port of https
    #[arg(long, default_value_t = 8443, requires = "https")]
    https_port: u16,
    /// Serve dist/ as it is, without building
    #[arg(long)]
    no_build: bool,
    #[command(flatten)]
    dist: dist::Options,
}

/// Builds and serves until the process is ended.
pub(crate) fn run(options: &Options) -> Result<()> {
    let host = match options.host {
        Some(host) => host,
        None if options.https => everywhere(),
        None => Ipv4Addr::LOCALHOST.into(),
    };
    // A port that is taken should not cost a build. It is given back at once, for the server.
    let port = free_port(host, options.port, "--port")?;
    let https_port = if options.https {
        free_port(host, options.https_port, "--https-port")?
    } else {
        options.https_port
    };
    if !options.no_build {
        dist::run(&options.dist)?;
    }
    let mut server = server()?;
    server
        .args(["--port", &port.to_string()])
        .args(["--host", &host.to_string()])
        .args(["--base", &options.base]);
    if options.https {
        server
            .arg("--https-folder")
            .arg(shell::target_dir().join("https"))
            .args(["--https-port", &https_port.to_string()]);
    }
    shell::run(&mut server)
}

/// All addresses of this machine: those of IPv6 include those of IPv4, where there is IPv6.
fn everywhere() -> IpAddr {
    let all = Ipv6Addr::UNSPECIFIED;
    if TcpListener::bind((all, 0)).is_ok() {
        all.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

/// The server for `dist/`, built and ready to be started.
pub(crate) fn server() -> Result<Command> {
    let folder = shell::root().join("dist");
    anyhow::ensure!(
        folder.join("index.html").is_file(),
        "dist/index.html is missing; run without --no-build"
    );
    shell::run(&mut shell::cargo(&[
        "build",
        "--quiet",
        "--locked",
        "--package",
        "serve",
    ]))?;
    let mut server = shell::command(&shell::target_dir().join("debug/serve").to_string_lossy());
    server.arg(folder);
    Ok(server)
}

/// Checks that nobody listens there; a port of 0 becomes one that is free.
pub(crate) fn free_port(host: IpAddr, port: u16, option: &str) -> Result<u16> {
    let listener = TcpListener::bind((host, port)).with_context(|| {
        format!("cannot listen on {host}:{port}; choose another port with {option}")
    })?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_refused_and_a_free_one_is_given_back() {
        let host = Ipv4Addr::LOCALHOST.into();
        let port = free_port(host, 0, "--port").unwrap();
        let held = TcpListener::bind((host, port)).unwrap();
        let error = free_port(host, port, "--port").unwrap_err();
        assert!(error.to_string().contains("--port"), "{error}");
        drop(held);
    }
}
