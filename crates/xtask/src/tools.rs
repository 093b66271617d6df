//! `cargo xtask tools`: what building and testing need beside cargo itself.
//!
//! Every step first looks, then acts, so a run with nothing missing takes well under two seconds.
//! Only the registries of cargo, npm and Debian are asked; nothing is downloaded by address.

mod apt;
mod browser;
mod cargo_tools;
mod node;

use anyhow::{Context as _, Result};

pub(crate) use browser::Browser;

use crate::shell;

/// Brings everything: what `build`, `check` and `browser` bring.
pub(crate) fn run() -> Result<()> {
    build()?;
    check()?;
    let browser = browser()?;
    println!("tools: ready; browser tests run on {}", browser.gpu);
    Ok(())
}

/// What `dist` and `serve` need: wasm32 target, node and its packages, trunk, wasm-bindgen.
pub(crate) fn build() -> Result<()> {
    rust_parts()?;
    apt::ensure(&apt::BUILD)?;
    node::ensure()?;
    cargo_tools::ensure(&cargo_tools::BUILD)
}

/// What `check` needs: rustfmt, clippy, nextest and a Vulkan driver for the GPU tests.
pub(crate) fn check() -> Result<()> {
    rust_parts()?;
    apt::ensure(&apt::VULKAN)?;
    cargo_tools::ensure(&cargo_tools::CHECK)
}

/// What `e2e` needs: node and its packages, Chromium, and a WebGPU adapter for it.
pub(crate) fn browser() -> Result<Browser> {
    apt::ensure(&apt::BUILD)?;
    node::ensure()?;
    browser::ensure()
}

/// The wasm32 target and the rustfmt and clippy components of the toolchain in use.
fn rust_parts() -> Result<()> {
    let sysroot = shell::output(
        std::process::Command::new("rustc")
            .arg("--print")
            .arg("sysroot")
            .current_dir(shell::root()),
    )?;
    let sysroot = std::path::Path::new(sysroot.trim());
    if !sysroot.join("lib/rustlib/wasm32-unknown-unknown").is_dir() {
        println!("tools: adding the wasm32-unknown-unknown target to the Rust toolchain");
        shell::run(shell::command("rustup").args(["target", "add", "wasm32-unknown-unknown"]))
            .context("the wasm32-unknown-unknown target is missing; install it with rustup or your distribution")?;
    }
    for (component, program) in [("rustfmt", "cargo-fmt"), ("clippy", "cargo-clippy")] {
        if !sysroot.join("bin").join(program).is_file() {
            println!("tools: adding {component} to the Rust toolchain");
            shell::run(shell::command("rustup").args(["component", "add", component]))
                .with_context(|| {
                    format!("{component} is missing; install it with rustup or your distribution")
                })?;
        }
    }
    Ok(())
}
