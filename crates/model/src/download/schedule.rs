//! What is asked for when.

use super::item::Stage;
use super::{Attempt, Download, Effect, End, Millis};

impl Download {
    /// The wait behind failure number `failures`, between half of it and all of it, so that many devices don't come back at
    /// the same moment.
    pub(super) fn back_off(&self, failures: u32, random: f64) -> Millis {
        let doublings = failures.saturating_sub(1).min(30);
        let wait = self.policy.first_wait_millis * f64::from(1u32 << doublings);
        wait.min(self.policy.max_wait_millis) * (0.5 + 0.5 * random.clamp(0.0, 1.0))
    }

    /// What may be asked for as soon as its time has come: what was begun before, then the next in order, as far as there is
    /// room.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (usize, Millis)> {
        let n_begun = self.items.iter().filter(|item| item.is_begun()).count();
        let mut room = self.policy.parallel.max(1).saturating_sub(n_begun);
        let is_paused = self.is_paused;
        self.items
            .iter()
            .enumerate()
            .filter_map(move |(index, item)| {
                let Stage::Waiting(at) = item.stage else {
                    return None;
                };
                if is_paused {
                    return None;
                }
                if !item.is_begun() {
                    room = room.checked_sub(1)?;
                }
                Some((index, at))
            })
    }

    pub(super) fn begin_what_is_due(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if self.has_ended {
            return;
        }
        if self.items.iter().all(|item| item.stage == Stage::Done) {
            return self.end(End::Done, effects);
        }
        if self.held_until > now {
            return;
        }
        let due: Vec<usize> = self
            .candidates()
            .filter_map(|(index, at)| (at <= now).then_some(index))
            .collect();
        for index in due {
            // All of it may have been there from the beginning.
            if self.items[index].has_all() && !self.items[index].is_unsure() {
                self.items[index].attempts += 1;
                self.check(index, effects);
                continue;
            }
            if self.items[index].is_unsure() {
                self.forget(index, effects);
            }
            self.attempts += 1;
            let attempt = Attempt(self.attempts);
            let item = &mut self.items[index];
            let range = item.begin(attempt, now);
            let fresh = item.fresh;
            effects.push(Effect::Request {
                item: index,
                attempt,
                range,
                fresh,
            });
        }
    }
}
