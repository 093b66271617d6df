//! The promise of recovery, with the page's own state and a worker that works as the real one does: whatever is lost and
//! whenever, each answer has exactly its tokens and ends exactly once.

mod worker;
mod world;

use app::Finish;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use worker::{Failure, NONSENSE, undisturbed};
use world::{Mistake, Step, World};

fn any_story() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(any_step(), 0..150)
}

fn live_through(steps: Vec<Step>, mistake: Option<Mistake>) {
    let mut world = World::with(mistake);
    for step in steps {
        world.step(step);
    }
    world.settle();
}

fn any_failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        6 => Just(Failure::Device),
        2 => Just(Failure::Adapter),
        1 => Just(Failure::Memory),
        2 => Just(Failure::Trap),
        1 => Just(Failure::Hang),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (1u32..6).prop_map(Step::Work),
        6 => Just(Step::Flush),
        20 => (1u32..6).prop_map(Step::Hear),
        5 => (1u32..8).prop_map(Step::Pass),
        1 => (8u32..300).prop_map(Step::Pass),
        6 => any_failure().prop_map(Step::Break),
        1 => Just(Step::Error),
        4 => (0usize..50).prop_map(Step::Late),
        6 => Just(Step::Ask),
        2 => Just(Step::Stop),
        3 => Just(Step::Continue),
        1 => Just(Step::Regenerate),
        1 => Just(Step::NewChat),
        1 => (0usize..3).prop_map(Step::OpenChat),
        2 => Just(Step::Retry),
        2 => any::<bool>().prop_map(Step::Hide),
    ]
}

/// The next test would be worth nothing if a page could do these unnoticed.
#[test]
fn mistakes_are_noticed() {
    for mistake in [
        Mistake::ResumesShort,
        Mistake::ForgetsSeed,
        Mistake::TakesStaleTokens,
        Mistake::TakesTokensTwice,
        Mistake::LosesTokens,
        Mistake::KeepsWorkers,
    ] {
        let config = Config {
            cases: 200,
            max_shrink_iters: 0,
            failure_persistence: None,
            ..Config::default()
        };
        let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let found = TestRunner::new_with_rng(config, random).run(&any_story(), |steps| {
            live_through(steps, Some(mistake));
            Ok(())
        });
        assert!(found.is_err(), "{mistake:?} is not noticed");
    }
}

#[test]
fn a_model_that_only_computes_nonsense_ends_with_the_reason() {
    let mut world = World::new();
    world.settle();
    world.step(Step::Ask);
    for _ in 0..500 {
        world.step(Step::Work(1));
        world.step(Step::Break(Failure::Nonsense));
        world.step(Step::Hear(10));
        world.step(Step::Pass(1));
    }
    let fault = world.state.engine.fault.as_ref().unwrap();
    assert_eq!(
        (world.state.name(), fault.detail.as_str()),
        ("failed", NONSENSE)
    );
    let answer = &world.state.chats.open.turns[0].answer;
    assert_eq!((answer.finish, answer.ids.len()), (Some(Finish::Failed), 0));
    // If it was the device, the answer can still be had.
    world.settle();
    world.step(Step::Continue);
    world.settle();
    let turn = &world.state.chats.open.turns[0];
    assert_eq!(turn.answer.ids, undisturbed(&turn.question, turn.seed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whatever_is_lost_each_answer_has_exactly_its_tokens_and_ends_once(
        steps in any_story(),
    ) {
        live_through(steps, None);
    }

    /// Without anybody who stops or leaves, every answer is the undisturbed one in the end.
    #[test]
    fn an_answer_with_losses_anywhere_is_the_undisturbed_one(
        losses in proptest::collection::vec((0u32..12, 0u32..6, any_failure()), 0..6),
    ) {
        let mut world = World::new();
        world.settle();
        world.step(Step::Ask);
        for (work, heard, failure) in losses {
            world.step(Step::Work(work));
            world.step(Step::Flush);
            world.step(Step::Hear(heard));
            world.step(Step::Break(failure));
        }
        world.settle();
        // Too much of it is given up, until the person wants it all the same.
        world.step(Step::Continue);
        world.settle();
        let turn = &world.state.chats.open.turns[0];
        prop_assert_eq!(turn.answer.finish, Some(Finish::Stop));
        prop_assert_eq!(&turn.answer.ids, &undisturbed(&turn.question, turn.seed));
    }
}
