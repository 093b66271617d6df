//! `cargo xtask shell-figures`: how soon the page is drawn, how long it is blocked and what it fetches, in Chromium on a slowed
//! down CPU; and how long a chat of thousands of turns blocks it.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{dist, e2e, serve, shell, tools};

/// Tries, a tenth of a second apart, until the server must answer.
const MAX_TRIES: u32 = 100;

/// Options of `cargo xtask shell-figures`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measure dist/ as it is, without building
    #[arg(long)]
    no_build: bool,
}

/// A server that ends with this value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Builds, serves and measures.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        dist::run(&dist::Options::default())?;
    }
    let browser = tools::browser()?;
    let host = Ipv4Addr::LOCALHOST;
    let port = serve::free_port(host.into(), 0, "--port")?;
    let mut command = serve::server()?;
    command.args(["--port", &port.to_string()]);
    let _server = Server(command.spawn().context("cannot start the server")?);
    let mut tries = 0;
    while TcpStream::connect((host, port)).is_err() {
        tries += 1;
        if tries > MAX_TRIES {
            bail!("the server does not answer on port {port}");
        }
        sleep(Duration::from_millis(100));
    }
    let mut node = shell::command("node");
    node.arg(shell::e2e_dir().join("figures/shell.mjs"));
    e2e::environment(&mut node, &browser);
    node.env("TERN_URL", format!("http://{host}:{port}/"));
    shell::run(&mut node)?;
    let mut node = e2e::node()?;
    shell::run(node.arg(shell::e2e_dir().join("figures/chat.mjs")))
}
