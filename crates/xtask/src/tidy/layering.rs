//! Which crate may depend on which. The page must never see the engine, the engine never a message.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::shell;

/// Every crate of the workspace and the workspace crates it may use, tests aside.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("protocol", &[]),
    ("model", &[]),
    ("text", &[]),
    ("fixtures", &[]),
    ("engine", &["model"]),
    ("worker", &["protocol", "model", "text", "engine"]),
    ("cli", &["model", "text", "engine"]),
    ("app", &["protocol"]),
    ("faults", &[]),
    ("serve", &[]),
    ("xtask", &["fixtures"]),
];

/// Crates that may talk to the browser.
const BROWSER: [&str; 2] = ["app", "worker"];
/// Dependencies that mean talking to the browser.
const BROWSER_CRATES: [&str; 3] = ["web-sys", "gloo", "leptos"];

/// Dependencies that the layers forbid.
pub(crate) fn problems() -> Result<Vec<String>> {
    let mut metadata = shell::cargo(&[
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--offline",
        "--locked",
    ]);
    let json: Value = serde_json::from_str(&shell::output(&mut metadata)?)
        .context("cargo metadata printed no JSON")?;
    Ok(check(&dependencies(&json)?))
}

/// Names of the normal and build dependencies of every workspace crate.
fn dependencies(metadata: &Value) -> Result<BTreeMap<String, Vec<String>>> {
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?;
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let of_package = |package: &Value| {
        let all = package["dependencies"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        all.iter()
            .filter(|dependency| dependency["kind"] != "dev")
            .map(name)
            .collect()
    };
    Ok(packages
        .iter()
        .map(|package| (name(package), of_package(package)))
        .collect())
}

fn check(graph: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, dependencies) in graph {
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
            problems.push(format!("crate {name} has no place in the layers; add it to crates/xtask/src/tidy/layering.rs"));
            continue;
        };
        for dependency in dependencies {
            let dependency = dependency.as_str();
            if graph.contains_key(dependency) && !allowed.contains(&dependency) {
                problems.push(format!(
                    "{name} must not depend on {dependency} (allowed: {allowed:?})"
                ));
            }
            if BROWSER_CRATES.contains(&dependency) && !BROWSER.contains(&name.as_str()) {
                problems.push(format!(
                    "{name} must not depend on {dependency}: only {BROWSER:?} may"
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(rows: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        rows.iter()
            .map(|(name, list)| {
                (
                    (*name).to_owned(),
                    list.iter().map(|d| (*d).to_owned()).collect(),
                )
            })
            .collect()
    }

    #[test]
    fn the_wanted_layers_pass() {
        let rows = [
            ("app", &["protocol", "web-sys"][..]),
            ("protocol", &["serde"]),
            ("engine", &["model", "wgpu"]),
            ("model", &[]),
        ];
        assert_eq!(check(&graph(&rows)), Vec::<String>::new());
    }

    #[test]
    fn each_forbidden_edge_is_named() {
        let rows = [
            ("app", &["engine"][..]),
            ("engine", &["web-sys"]),
            ("model", &["engine"]),
            ("stranger", &[]),
        ];
        let problems = check(&graph(&rows));
        assert_eq!(problems.len(), 4, "{problems:?}");
        for part in [
            "app must not depend on engine",
            "engine must not depend on web-sys",
            "model must not",
            "stranger has no place",
        ] {
            assert!(
                problems.iter().any(|problem| problem.contains(part)),
                "{part}: {problems:?}"
            );
        }
    }

    #[test]
    fn test_dependencies_are_left_out() {
        let json = serde_json::json!({ "packages": [
            { "name": "model", "dependencies": [{ "name": "engine", "kind": "dev" }, { "name": "half", "kind": null }] },
        ] });
        assert_eq!(dependencies(&json).unwrap(), graph(&[("model", &["half"])]));
    }
}
