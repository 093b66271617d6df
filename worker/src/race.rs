//! Waiting for one thing while minding others.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::Host;

/// What ended first.
pub(crate) enum First<A, B> {
    /// The first future.
    Left(A),
    /// The second one.
    Right(B),
}

/// Runs both until one completes; the other stays where it is. The first one wins a tie.
async fn first_pinned<A, B>(
    mut left: Pin<&mut impl Future<Output = A>>,
    mut right: Pin<&mut impl Future<Output = B>>,
) -> First<A, B> {
    poll_fn(|context| {
        if let Poll::Ready(value) = left.as_mut().poll(context) {
            return Poll::Ready(First::Left(value));
        }
        right.as_mut().poll(context).map(First::Right)
    })
    .await
}

/// Runs both until one completes and drops the other. The first one wins a tie.
pub(crate) async fn first<A, B>(
    left: impl Future<Output = A>,
    right: impl Future<Output = B>,
) -> First<A, B> {
    first_pinned(pin!(left), pin!(right)).await
}

/// Runs both until both have completed. Both are begun at once.
#[cfg(any(target_arch = "wasm32", test))]
pub(crate) async fn both<A, B>(
    left: impl Future<Output = A>,
    right: impl Future<Output = B>,
) -> (A, B) {
    let (mut left, mut right) = (pin!(left), pin!(right));
    let (mut a, mut b) = (None, None);
    poll_fn(move |context| {
        if a.is_none()
            && let Poll::Ready(value) = left.as_mut().poll(context)
        {
            a = Some(value);
        }
        if b.is_none()
            && let Poll::Ready(value) = right.as_mut().poll(context)
        {
            b = Some(value);
        }
        match (a.take(), b.take()) {
            (Some(left), Some(right)) => Poll::Ready((left, right)),
            (left, right) => {
                (a, b) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}

/// Pieces of work that are begun before their results are wanted. They run whenever somebody waits here, beside each other,
/// and their results are taken in the order in which they were begun. Dropping this drops what has not ended.
pub(crate) struct Ahead<'a, T>(VecDeque<Piece<'a, T>>);

enum Piece<'a, T> {
    Running(Pin<Box<dyn Future<Output = T> + 'a>>),
    Ended(T),
}

impl<'a, T> Ahead<'a, T> {
    /// Without any work.
    pub(crate) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// How many results are to be taken.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Puts work behind the other. It runs from the next wait on.
    pub(crate) fn begin(&mut self, work: impl Future<Output = T> + 'a) {
        self.0.push_back(Piece::Running(Box::pin(work)));
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        for piece in &mut self.0 {
            if let Piece::Running(work) = piece
                && let Poll::Ready(value) = work.as_mut().poll(context)
            {
                *piece = Piece::Ended(value);
            }
        }
    }

    /// The oldest result; `None` when there is no work.
    pub(crate) async fn next(&mut self) -> Option<T> {
        poll_fn(|context| {
            self.poll(context);
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(Piece::Ended(value)) => Poll::Ready(Some(value)),
                Some(running) => {
                    self.0.push_front(running);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Waits for `other`, which has the first turn, and runs the work meanwhile.
    pub(crate) async fn beside<O>(&mut self, other: impl Future<Output = O>) -> O {
        let mut other = pin!(other);
        poll_fn(|context| {
            let polled = other.as_mut().poll(context);
            if polled.is_pending() {
                self.poll(context);
            }
            polled
        })
        .await
    }
}

/// Runs `work` and calls `tick` before it starts and whenever the time is over that the last call named (milliseconds).
/// `None` from `tick` gives up: the work is dropped, the result is `None`.
pub(crate) async fn minding<T>(
    host: &impl Host,
    work: impl Future<Output = T>,
    mut tick: impl FnMut() -> Option<u32>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        let millis = tick()?;
        match first_pinned(work.as_mut(), pin!(host.sleep(millis))).await {
            First::Left(value) => return Some(value),
            First::Right(()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{Ahead, both};

    /// Polls until `future` ends, a turn each time. How many turns that took, and its value.
    fn turns<T>(clock: &Cell<u32>, future: impl Future<Output = T>) -> (u32, T) {
        let (mut future, began) = (pin!(future), clock.get());
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..100 {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return (clock.get() - began, value);
            }
            clock.set(clock.get() + 1);
        }
        panic!("it never ends")
    }

    /// Ends so many turns after it is first polled.
    async fn after<T>(clock: &Cell<u32>, n_turns: u32, value: T) -> T {
        let end = clock.get() + n_turns;
        poll_fn(|_| match clock.get() >= end {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        value
    }

    #[test]
    fn both_run_at_once() {
        for (left, right) in [(0, 0), (3, 5), (5, 3), (4, 0)] {
            let clock = Cell::new(0);
            let work = both(after(&clock, left, 'a'), after(&clock, right, 'b'));
            assert_eq!(turns(&clock, work), (left.max(right), ('a', 'b')));
        }
    }

    #[test]
    fn results_come_in_the_order_in_which_the_work_was_begun() {
        let clock = Cell::new(0);
        let mut ahead = Ahead::new();
        for (n_turns, value) in [(5, 'a'), (2, 'b'), (9, 'c')] {
            ahead.begin(after(&clock, n_turns, value));
        }
        assert_eq!(turns(&clock, ahead.next()), (5, Some('a')));
        assert_eq!(turns(&clock, ahead.next()), (0, Some('b')), "it had ended");
        ahead.begin(after(&clock, 1, 'd'));
        assert_eq!(turns(&clock, ahead.next()), (4, Some('c')));
        assert_eq!(ahead.len(), 1);
        assert_eq!(turns(&clock, ahead.next()), (0, Some('d')));
        assert_eq!(turns(&clock, ahead.next()), (0, None));
    }

    #[test]
    fn work_runs_beside_other_work_and_does_not_hold_it_up() {
        let clock = Cell::new(0);
        let mut ahead = Ahead::new();
        ahead.begin(after(&clock, 4, 'a'));
        let waited = turns(&clock, ahead.beside(after(&clock, 3, ())));
        assert_eq!(waited, (3, ()));
        assert_eq!(turns(&clock, ahead.next()), (1, Some('a')));
        ahead.begin(after(&clock, 50, 'b'));
        assert_eq!(turns(&clock, ahead.beside(after(&clock, 2, ()))), (2, ()));
    }

    #[test]
    fn work_that_is_not_waited_for_stands_still_and_ends_with_its_owner() {
        let clock = Cell::new(0);
        let seen = RefCell::new(Vec::new());
        let step = async |name| {
            seen.borrow_mut().push(name);
            after(&clock, 2, ()).await;
            seen.borrow_mut().push("done");
        };
        let mut ahead = Ahead::new();
        ahead.begin(step("first"));
        assert!(seen.borrow().is_empty(), "begun, not run");
        turns(&clock, ahead.beside(after(&clock, 1, ())));
        drop(ahead);
        clock.set(clock.get() + 10);
        assert_eq!(*seen.borrow(), ["first"]);
    }
}
