//! Which kernel variants can be trusted on this machine.

use engine::selftest::SelfTest;
use engine::{KvType, Variant};
use model::Manifest;
use protocol::DroppedVariant;

use crate::kernels::Kernels;

/// What is known of the variants. It outlives devices: a driver that computed nonsense once will do so again.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    dropped: Vec<(Variant, KvType, String)>,
    /// The best kernels by scope, as trials have found them.
    tuned: Vec<(String, Kernels)>,
    /// Tests that were made, since the references take some time.
    tests: Vec<SelfTest>,
}

impl Choices {
    /// The best variant that a device supports and that was not dropped, with the asked type of the cache as long as there is
    /// one, and then with plain floats. The best is `tuned`, if that is one of them, and else what the fixed order says.
    pub(crate) fn next(
        &self,
        asked: KvType,
        tuned: Option<Variant>,
        supports: impl Fn(Variant) -> bool,
    ) -> Option<(Variant, KvType)> {
        let is_dropped = |variant, kv| {
            let mut dropped = self.dropped.iter();
            dropped.any(|(v, k, _)| (*v, *k) == (variant, kv))
        };
        [asked, KvType::F32].into_iter().find_map(|kv| {
            let mut usable = tuned
                .into_iter()
                .chain(Variant::ALL)
                .filter(|&variant| supports(variant));
            let found = usable.find(|&variant| !is_dropped(variant, kv));
            found.map(|variant| (variant, kv))
        })
    }

    /// Whether a variant was dropped, with whatever cache.
    pub(crate) fn is_dropped(&self, variant: Variant) -> bool {
        self.dropped.iter().any(|(other, ..)| *other == variant)
    }

    /// What a trial has found to be the best in this scope.
    pub(crate) fn tuned(&self, scope: &str) -> Option<Kernels> {
        let mut tuned = self.tuned.iter();
        tuned
            .find(|(of, _)| of == scope)
            .map(|(_, kernels)| *kernels)
    }

    pub(crate) fn prefer(&mut self, scope: &str, kernels: Kernels) {
        self.tuned.retain(|(of, _)| of != scope);
        self.tuned.push((scope.to_owned(), kernels));
    }

    pub(crate) fn drop_variant(&mut self, variant: Variant, kv: KvType, problem: String) {
        self.dropped.push((variant, kv, problem));
    }

    pub(crate) fn dropped(&self) -> Vec<DroppedVariant> {
        let report = |(variant, kv, problem): &(Variant, KvType, String)| DroppedVariant {
            variant: format!("{variant} {kv:?}"),
            problem: problem.clone(),
        };
        self.dropped.iter().map(report).collect()
    }

    /// All problems in one line.
    pub(crate) fn describe(&self) -> String {
        let dropped = self.dropped();
        let lines: Vec<String> = dropped
            .iter()
            .map(|dropped| format!("{}: {}", dropped.variant, dropped.problem))
            .collect();
        format!("no variant passes the self-test; {}", lines.join("; "))
    }

    /// The test for such a model, to be given back.
    pub(crate) fn take_test(&mut self, manifest: &Manifest, kv: KvType) -> Option<SelfTest> {
        let mut tests = self.tests.iter();
        let index = tests.position(|test| test.is_for(manifest, kv))?;
        Some(self.tests.swap_remove(index))
    }

    pub(crate) fn keep_test(&mut self, test: SelfTest) {
        self.tests.push(test);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{Choices, KvType, Variant};

    #[test]
    fn the_best_variant_comes_first_and_plain_floats_last() {
        let mut choices = Choices::default();
        let mut order = Vec::new();
        while let Some((variant, kv)) = choices.next(KvType::F16, None, |_| true) {
            order.push((variant, kv));
            choices.drop_variant(variant, kv, "wrong".into());
        }
        let expected: Vec<_> = [KvType::F16, KvType::F32]
            .into_iter()
            .flat_map(|kv| Variant::ALL.into_iter().map(move |variant| (variant, kv)))
            .collect();
        assert_eq!(order, expected);
        assert_eq!(choices.dropped().len(), 8);
        assert!(choices.describe().contains("wrong"));
    }

    #[test]
    fn only_what_the_device_supports_is_tried() {
        let mut choices = Choices::default();
        let supports = |variant: Variant| variant == Variant::PORTABLE;
        assert_eq!(
            choices.next(KvType::F32, None, supports),
            Some((Variant::PORTABLE, KvType::F32))
        );
        choices.drop_variant(Variant::PORTABLE, KvType::F32, "wrong".into());
        assert_eq!(choices.next(KvType::F32, None, supports), None);
    }

    #[test]
    fn what_a_trial_has_found_comes_first_if_it_can_be_used() {
        let mut choices = Choices::default();
        let kernels = |name: &str| name.parse::<crate::kernels::Kernels>().unwrap();
        choices.prefer("a", kernels("packed-shared"));
        choices.prefer("b", kernels("scalar-subgroup-apart"));
        choices.prefer("a", kernels("scalar-shared"));
        assert_eq!(choices.tuned("a"), Some(kernels("scalar-shared")));
        assert_eq!(choices.tuned("c"), None);
        let tuned = Some(Variant::PORTABLE);
        let next = |choices: &Choices| choices.next(KvType::F16, tuned, |_| true);
        assert_eq!(next(&choices), Some((Variant::PORTABLE, KvType::F16)));
        let other = |variant: Variant| variant != Variant::PORTABLE;
        let best = Some((Variant::ALL[0], KvType::F16));
        assert_eq!(choices.next(KvType::F16, tuned, other), best);
        choices.drop_variant(Variant::PORTABLE, KvType::F16, "wrong".into());
        assert_eq!(next(&choices), best);
        assert!(choices.is_dropped(Variant::PORTABLE) && !choices.is_dropped(Variant::ALL[0]));
    }
}
