//! Waiting for one thing while minding others.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;

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
    std::future::poll_fn(|context| {
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
#[cfg(target_arch = "wasm32")]
pub(crate) async fn both<A, B>(
    left: impl Future<Output = A>,
    right: impl Future<Output = B>,
) -> (A, B) {
    let (mut left, mut right) = (pin!(left), pin!(right));
    let (mut a, mut b) = (None, None);
    std::future::poll_fn(move |context| {
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
