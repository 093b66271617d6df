//! Chromium, and a WebGPU adapter for it on machines without a GPU.
//!
//! Chromium accepts only one CPU adapter, SwiftShader. Mesa's lavapipe is several times faster and has f16 and subgroups, so
//! tests/e2e/lavapipe/setup.sh makes a copy of Chromium that runs on it. If that fails, the tests still run, on SwiftShader.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result};

use super::apt;
use crate::shell;

/// A Chromium to test in, with the environment it needs.
#[derive(Debug)]
pub(crate) struct Browser {
    /// What computes WebGPU in it.
    pub(crate) gpu: Gpu,
    /// The program.
    pub(crate) program: PathBuf,
    /// Debian's Chromium as it is, which brings SwiftShader.
    pub(crate) plain: PathBuf,
    /// Variables for the program's environment.
    pub(crate) env: BTreeMap<String, String>,
}

/// What computes WebGPU in the browser tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gpu {
    /// Mesa's lavapipe behind our shim.
    Lavapipe,
    /// Chromium's own CPU adapter.
    SwiftShader,
    /// Whatever the Chromium of `TERN_CHROMIUM` finds.
    Own,
}

impl Gpu {
    /// The name that the specs know it by.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lavapipe => "lavapipe",
            Self::SwiftShader => "swiftshader",
            Self::Own => "own",
        }
    }
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Finds or installs Chromium and prepares lavapipe for it.
pub(crate) fn ensure() -> Result<Browser> {
    if let Some(own) = std::env::var_os("TERN_CHROMIUM") {
        let program = PathBuf::from(own);
        anyhow::ensure!(
            program.is_file(),
            "TERN_CHROMIUM names no file: {}",
            program.display()
        );
        return Ok(Browser {
            gpu: Gpu::Own,
            plain: program.clone(),
            program,
            env: BTreeMap::new(),
        });
    }
    apt::ensure(&apt::CHROMIUM)?;
    let plain = installed_chromium().context("Chromium is still missing after its installation")?;
    match lavapipe() {
        Ok(env) => {
            let program = env
                .get("TERN_CHROMIUM")
                .map(PathBuf::from)
                .context("tests/e2e/lavapipe/setup.sh named no TERN_CHROMIUM")?;
            Ok(Browser {
                gpu: Gpu::Lavapipe,
                program,
                plain,
                env,
            })
        }
        Err(error) => {
            println!("{}", "!".repeat(100));
            println!("!! lavapipe could not be set up for Chromium: {error:#}");
            println!(
                "!! The browser tests run on SwiftShader instead: several times slower, without f16 and subgroups."
            );
            println!("{}", "!".repeat(100));
            Ok(Browser {
                gpu: Gpu::SwiftShader,
                program: plain.clone(),
                plain,
                env: BTreeMap::new(),
            })
        }
    }
}

/// Chromium as the system has it.
pub(super) fn installed_chromium() -> Option<PathBuf> {
    if let Some(own) = std::env::var_os("TERN_CHROMIUM") {
        return Some(PathBuf::from(own));
    }
    let debian = PathBuf::from("/usr/lib/chromium/chromium");
    let others = ["chromium", "chromium-browser", "google-chrome"];
    Some(debian)
        .filter(|path| path.is_file())
        .or_else(|| others.iter().find_map(|name| shell::find(name)))
}

/// Sets lavapipe up unless that is done for this Chromium and this recipe, and returns its environment.
fn lavapipe() -> Result<BTreeMap<String, String>> {
    let folder = shell::tools_dir().join("lavapipe");
    let recipe = shell::e2e_dir().join("lavapipe");
    let stamp_file = folder.join("stamp");
    let stamp = stamp(&[
        &recipe.join("setup.sh"),
        &recipe.join("shim.c"),
        Path::new("/usr/lib/chromium/chromium"),
    ])?;
    if std::fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
        return read_env(&folder.join("env"));
    }
    println!("tools: setting up lavapipe for Chromium in target/tools/lavapipe");
    std::fs::create_dir_all(&folder)?;
    shell::run(
        shell::command("bash")
            .arg(recipe.join("setup.sh"))
            .arg(&folder),
    )?;
    let env = read_env(&folder.join("env"))?;
    std::fs::write(stamp_file, stamp)?;
    Ok(env)
}

/// Changes when one of the files does.
fn stamp(files: &[&Path]) -> Result<String> {
    let mut text = String::new();
    for file in files {
        let meta = file
            .metadata()
            .with_context(|| format!("cannot read {}", file.display()))?;
        let modified = meta
            .modified()?
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_secs());
        text.push_str(&format!("{} {} {modified}\n", file.display(), meta.len()));
    }
    Ok(text)
}

/// `NAME=VALUE` lines.
fn read_env(file: &Path) -> Result<BTreeMap<String, String>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}
