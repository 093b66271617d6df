//! What is done about a loss.

use super::{Cause, Effect, Millis, Move, Phase, Supervisor, forget_before};

impl Supervisor {
    pub(super) fn lost(&mut self, now: Millis, cause: Cause) -> Vec<Effect> {
        self.quiet_ticks = 0;
        let Some((movement, wait)) = self.choose(now, cause) else {
            return self.give_up(cause);
        };
        match (movement, cause) {
            (Move::Reopen, _) => self.make(now, now + wait, movement),
            // It is dead and holds nothing.
            (Move::Replace, Cause::Trap) => {
                let mut effects = vec![Effect::Terminate];
                effects.extend(self.make(now, now + wait, movement));
                effects
            }
            (Move::Replace, _) => self.retire(now, Some(now + wait)),
        }
    }

    /// The worker that was to get another device is gone before it did.
    pub(super) fn lost_while_waiting(&mut self, now: Millis, cause: Cause) -> Vec<Effect> {
        let is_dead = matches!(cause, Cause::Trap | Cause::Worker);
        match self.phase {
            Phase::Waiting(at, Move::Reopen) if is_dead => {
                let mut effects = vec![Effect::Terminate];
                effects.extend(self.make(now, at, Move::Replace));
                effects
            }
            _ => Vec::new(),
        }
    }

    /// What helps against a loss, and how long to wait before; `None` = nothing does.
    fn choose(&mut self, now: Millis, cause: Cause) -> Option<(Move, Millis)> {
        match cause {
            Cause::Adapter => {
                self.missing_adapters += 1;
                return match self.missing_adapters {
                    _ if !self.had_device => None,
                    1 => Some((Move::Replace, 0)),
                    n if n <= self.policy.adapter_rounds + 1 => {
                        Some((Move::Replace, self.policy.adapter_wait_millis))
                    }
                    _ => None,
                };
            }
            Cause::Memory => {
                let is_smallest = self.level >= self.last_level();
                self.level += u32::from(!is_smallest);
                return (!is_smallest).then_some((Move::Replace, 0));
            }
            Cause::Device | Cause::Trap | Cause::Worker => {}
        }
        forget_before(&mut self.losses, now, self.policy.window_millis);
        if self.losses.is_empty() {
            self.fruitless = 0;
        }
        self.losses.push_back(now);
        self.fruitless += 1;
        let of_job = self.job_losses.as_mut().map_or(0, |losses| {
            *losses += 1;
            *losses
        });
        let last = self.policy.ladder.len().checked_sub(1)?;
        if self.fruitless as usize > last + 1 {
            return None;
        }
        // Tokens show that the last move helped, so it is made again; but not for ever within one answer. One that still
        // grows is never given up: it only gets the last rung again.
        let is_too_often = of_job > self.policy.patient_losses;
        let step = self.fruitless.max(if is_too_often { of_job } else { 0 });
        let index = step.saturating_sub(1) as usize;
        let rung = *self.policy.ladder.get(index.min(last))?;
        self.level = self.level.max(rung.level.min(self.last_level()));
        let is_of_no_use = cause != Cause::Device || self.phase == Phase::Starting;
        let movement = if is_of_no_use {
            Move::Replace
        } else {
            rung.movement
        };
        let waits = &self.policy.waits_millis;
        let wait = waits.get(self.losses.len() - 1).or_else(|| waits.last());
        Some((movement, wait.copied().unwrap_or(0)))
    }

    fn give_up(&mut self, cause: Cause) -> Vec<Effect> {
        self.job_losses = None;
        self.fruitless = 0;
        self.missing_adapters = 0;
        if matches!(cause, Cause::Adapter | Cause::Memory) {
            // Nothing is wrong with the worker, which is still good for what needs no GPU.
            if self.phase == Phase::Ready {
                self.phase = Phase::Up;
            }
            return vec![Effect::GiveUp(cause)];
        }
        self.phase = Phase::Stopped;
        vec![Effect::Terminate, Effect::GiveUp(cause)]
    }
}
