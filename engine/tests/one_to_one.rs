//! One stem for everything: shader, op, reference and test of a kernel have the same name, and the providers of one need
//! export the same functions.

#![allow(clippy::unwrap_used, reason = "tests")]

use engine::shader::Kernel;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Stems of the files with an extension directly in a folder of the repository.
fn stems(folder: &str, extension: &str) -> BTreeSet<String> {
    std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|stem| stem != "mod")
        .collect()
}

#[test]
fn stems_are_the_same_everywhere() {
    let kernels: BTreeSet<String> = Kernel::ALL
        .iter()
        .map(|kernel| kernel.name().to_owned())
        .collect();
    assert_eq!(stems("shaders", "wgsl"), kernels, "shaders");
    assert_eq!(stems("engine/src/ops", "rs"), kernels, "ops");
    assert_eq!(stems("engine/src/reference", "rs"), kernels, "references");
    assert_eq!(stems("engine/tests/ops", "rs"), kernels, "tests");
}

#[test]
fn every_op_test_is_part_of_the_test_binary() {
    let text = std::fs::read_to_string(root().join("engine/tests/ops.rs")).unwrap();
    for kernel in Kernel::ALL {
        assert!(
            text.contains(&format!("mod {};", kernel.name())),
            "tests/ops.rs lacks {}",
            kernel.name()
        );
    }
}

/// Signatures of a file's functions: `fn name(...) -> T`.
fn signatures(stem: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(format!("shaders/lib/{stem}.wgsl"))).unwrap();
    text.lines()
        .filter(|line| line.starts_with("fn "))
        .map(|line| line.trim_end_matches(" {").to_owned())
        .collect()
}

/// The lines of a file that declare a type: a struct with its members, or the name of an alias.
fn types(stem: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(format!("shaders/lib/{stem}.wgsl"))).unwrap();
    let mut out = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("alias ") {
            out.push(line.split('=').next().unwrap().to_owned());
        }
        inside |= line.starts_with("struct ");
        if inside {
            out.push(line.split("//").next().unwrap().trim_end().to_owned());
        }
        inside &= line != "}";
    }
    out
}

fn kernel_texts() -> String {
    // What kernels share may call a provider in their place.
    stems("shaders", "wgsl")
        .iter()
        .map(|stem| format!("shaders/{stem}.wgsl"))
        .chain(["shaders/lib/row.wgsl".to_owned()])
        .map(|path| std::fs::read_to_string(root().join(path)).unwrap())
        .collect()
}

#[test]
fn providers_of_one_need_export_the_same() {
    let kernels = kernel_texts();
    let needs: [&[&str]; 5] = [
        &["dot_packed", "dot_scalar"],
        &["reduce_subgroup", "reduce_shared"],
        &["row_totals_subgroup", "row_totals_shared"],
        &["kv_f32", "kv_f16", "kv_i8"],
        &["rows_f16", "rows_q8", "rows_q6", "rows_q4"],
    ];
    for providers in needs {
        let exported = |stem: &str| -> BTreeSet<String> {
            let called = |signature: &&String| {
                let name = signature
                    .trim_start_matches("fn ")
                    .split('(')
                    .next()
                    .unwrap();
                kernels.contains(&format!("{name}("))
            };
            signatures(stem).iter().filter(called).cloned().collect()
        };
        let first = exported(providers[0]);
        assert!(
            !first.is_empty(),
            "{} exports nothing that a kernel calls",
            providers[0]
        );
        for other in &providers[1..] {
            assert_eq!(first, exported(other), "{} and {other}", providers[0]);
            assert_eq!(
                types(providers[0]),
                types(other),
                "{} and {other}",
                providers[0]
            );
        }
    }
}

#[test]
fn every_provider_is_known() {
    let known = "attention dot_packed dot_scalar kv_f16 kv_f32 kv_i8 merge norm order product reduce_shared reduce_subgroup rope row \
                 row_totals_shared row_totals_subgroup rows_f16 rows_q4 rows_q6 rows_q8 step step_rw sum ternary";
    let known: BTreeSet<String> = known.split_whitespace().map(str::to_owned).collect();
    assert_eq!(stems("shaders/lib", "wgsl"), known);
}
