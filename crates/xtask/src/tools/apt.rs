//! System packages, by apt-get on Debian and its relatives; elsewhere a clear list of what to install by hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// One thing that a system package brings.
#[derive(Debug)]
pub(crate) struct Need {
    /// Debian's package.
    package: &'static str,
    /// What it is for, for the message on other systems.
    purpose: &'static str,
    /// Whether it is here already, from whatever source.
    present: fn() -> bool,
}

/// For building the app.
pub(crate) const BUILD: [Need; 3] = [
    Need {
        package: "gcc",
        purpose: "a C compiler and linker",
        present: || shell::find("cc").is_some(),
    },
    Need {
        package: "nodejs",
        purpose: "node, for wasm-opt and the browser tests",
        present: || shell::find("node").is_some(),
    },
    Need {
        package: "npm",
        purpose: "npm, the package manager of node",
        present: || shell::find("npm").is_some(),
    },
];

/// For the native GPU tests.
pub(crate) const VULKAN: [Need; 2] = [
    Need {
        package: "libvulkan1",
        purpose: "the Vulkan loader",
        present: vulkan_loader_is_present,
    },
    Need {
        package: "mesa-vulkan-drivers",
        purpose: "a Vulkan driver (lavapipe needs no GPU)",
        present: vulkan_driver_is_present,
    },
];

/// For the browser tests.
pub(crate) const CHROMIUM: [Need; 1] = [Need {
    package: "chromium",
    purpose: "Chromium",
    present: || super::browser::installed_chromium().is_some(),
}];

/// Installs the packages whose purpose is not met yet.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if shell::find("apt-get").is_none() {
        let list: Vec<String> = missing
            .iter()
            .map(|need| format!("{} ({})", need.package, need.purpose))
            .collect();
        bail!(
            "this system has no apt-get; install these by hand, then run the command again: {}",
            list.join(", ")
        );
    }
    println!("tools: installing system packages: {}", packages.join(", "));
    shell::run(&mut apt_get(&["update", "-qq"])?)?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&packages);
    shell::run(&mut apt_get(&install)?)
}

/// `apt-get` as root: directly, or through sudo where that asks for nothing or can ask the person.
fn apt_get(args: &[&str]) -> Result<Command> {
    let is_root = shell::output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut command = if is_root {
        shell::command("apt-get")
    } else if shell::find("sudo").is_some() {
        let mut sudo = shell::command("sudo");
        sudo.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        bail!(
            "not root and no sudo here; as root, run: apt-get {}",
            args.join(" ")
        );
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
    Ok(command)
}

fn vulkan_loader_is_present() -> bool {
    let mut folders: Vec<PathBuf> = ["/usr/lib", "/usr/lib64", "/usr/local/lib"]
        .iter()
        .map(PathBuf::from)
        .collect();
    folders.extend(
        children(Path::new("/usr/lib"))
            .filter(|path| path.to_string_lossy().ends_with("-linux-gnu")),
    );
    folders
        .iter()
        .any(|folder| folder.join("libvulkan.so.1").exists())
}

fn vulkan_driver_is_present() -> bool {
    if std::env::var_os("VK_DRIVER_FILES").is_some()
        || std::env::var_os("VK_ICD_FILENAMES").is_some()
    {
        return true;
    }
    [
        "/usr/share/vulkan/icd.d",
        "/etc/vulkan/icd.d",
        "/usr/local/share/vulkan/icd.d",
    ]
    .iter()
    .any(|folder| {
        children(Path::new(folder)).any(|path| path.extension().is_some_and(|ext| ext == "json"))
    })
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
}
