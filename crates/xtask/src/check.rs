//! `cargo xtask check`: everything that needs no browser, fast checks first.

use anyhow::Result;

use crate::suite::Suite;
use crate::{shell, tidy, tools};

/// Crates that also run in the browser.
const WASM_CRATES: [&str; 6] = ["app", "worker", "protocol", "engine", "text", "model"];

/// Runs all checks and prints how long each took.
pub(crate) fn run() -> Result<()> {
    let mut suite = Suite::default();
    suite.step("tools", tools::check);
    steps(&mut suite);
    suite.finish()
}

/// The checks as steps of a larger run.
pub(crate) fn steps(suite: &mut Suite) {
    suite.step("tidy", tidy::run);
    suite.step("fmt", || {
        shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))
    });
    suite.step("clippy", || {
        shell::run(&mut shell::cargo(&[
            "clippy",
            "--locked",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    });
    suite.step("clippy-wasm", clippy_wasm);
    suite.step("nextest", || {
        shell::run(&mut shell::cargo(&[
            "nextest",
            "run",
            "--locked",
            "--workspace",
        ]))
    });
    suite.step("doctest", || {
        shell::run(&mut shell::cargo(&[
            "test",
            "--locked",
            "--quiet",
            "--workspace",
            "--doc",
        ]))
    });
    suite.step("rustdoc", || {
        let mut doc = shell::cargo(&["doc", "--locked", "--quiet", "--workspace", "--no-deps"]);
        shell::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
}

/// Clippy for wasm32 with its own list of what must not be called there.
fn clippy_wasm() -> Result<()> {
    let mut clippy = shell::cargo(&["clippy", "--locked", "--target", "wasm32-unknown-unknown"]);
    for name in WASM_CRATES {
        clippy.args(["--package", name]);
    }
    clippy.args(["--", "-D", "warnings"]).env(
        "CLIPPY_CONF_DIR",
        shell::root().join("crates/xtask/clippy-wasm"),
    );
    shell::run(&mut clippy)
}
