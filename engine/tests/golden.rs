//! Whole models against reference values computed outside this project: codes, layers, logits, greedy tokens.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::golden::{Package, compare_layers, compare_logits, exact};
use common::{gpu, variants};
use engine::ops::Tuning;
use engine::{Executor, Sampling, Session};
use fixtures::{Golden, PACKED};
use std::ops::ControlFlow;

/// Layers and logits of every packed fixture on one executor.
fn check(make: impl Fn() -> Option<Executor>) {
    for (folder, variant) in PACKED {
        let Some(executor) = make() else { return };
        let golden = Golden::load(folder);
        let class = golden.gamma_class(variant).to_owned();
        let mut session = Package::of(folder, variant).session(executor, &exact());
        compare_layers(&mut session, &golden, &class)
            .unwrap_or_else(|e| panic!("{folder}/{variant}: {e}"));
        compare_logits(&mut session, &golden, &class)
            .unwrap_or_else(|e| panic!("{folder}/{variant}: {e}"));
        check_greedy(&mut session, &golden, &class);
    }
}

/// Greedy continuations, where the reference itself is sure of them.
fn check_greedy(session: &mut Session, golden: &Golden, class: &str) {
    session.set_sampling(Sampling::default());
    for prompt in &golden.prompts {
        let Some(stored) = prompt.classes.get(class) else {
            continue;
        };
        if !stored.greedy_robust || stored.greedy.is_empty() {
            continue;
        }
        let got: Vec<u32> = pollster::block_on(async {
            session
                .prefill(&prompt.ids, |_, _| ControlFlow::Continue(()))
                .await
                .unwrap();
            let mut ids = Vec::new();
            for _ in 0..stored.greedy.len() {
                ids.push(session.next_token().await.unwrap());
            }
            ids
        });
        assert_eq!(
            got, stored.greedy,
            "{} prompt {}",
            golden.folder, prompt.name
        );
    }
}

#[test]
fn cpu_matches_the_reference() {
    check(|| Some(Executor::cpu()));
}

#[test]
fn every_gpu_variant_matches_the_reference() {
    for variant in variants() {
        check(|| gpu(Some(variant)));
    }
}

/// A software adapter runs kernels that suit it; these are the ones that everybody else gets.
#[test]
fn the_kernels_of_hardware_match_the_reference() {
    check(|| {
        let mut executor = gpu(None)?;
        common::tune(&mut executor, Tuning::default());
        Some(executor)
    });
}

#[test]
fn t5_coding_gives_the_same_logits() {
    let golden = Golden::load("g256");
    let mut session =
        Package::coded("g256", "packed", model::Coding::T5).session(Executor::cpu(), &exact());
    compare_logits(&mut session, &golden, golden.gamma_class("packed")).unwrap();
}
