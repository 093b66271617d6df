//! Sending an answer, as far as it is meant to come.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use crate::answer::Answer;
use crate::plan::Fault;
use crate::throttle::Throttle;

/// Most bytes that are written at once.
const PIECE_BYTES: u64 = 64 << 10;

/// How sending went.
pub(crate) struct Outcome {
    /// Bytes of the body that the system took.
    pub(crate) bytes: u64,
    /// Whether everything was sent.
    pub(crate) whole: bool,
    /// Whether the connection can take another request.
    pub(crate) stays: bool,
}

/// Sends head and body. A failing connection is an outcome too: the other side may go when it likes.
pub(crate) fn send(
    stream: &TcpStream,
    mut answer: Answer,
    is_head: bool,
    stays: bool,
    fault: &Fault,
    shared: &Throttle,
) -> Outcome {
    let mut bytes = 0;
    let result = head(stream, &answer, stays, fault).and_then(|()| {
        if is_head {
            Ok(true)
        } else {
            body(stream, &mut answer, fault, shared, &mut bytes)
        }
    });
    let whole = matches!(result, Ok(true));
    // Behind a wrong length nobody knows where the next answer would begin.
    let is_honest = fault
        .stated_length
        .is_none_or(|stated| stated == answer.body_bytes);
    Outcome {
        bytes,
        whole,
        stays: whole && stays && is_honest,
    }
}

fn head(stream: &TcpStream, answer: &Answer, stays: bool, fault: &Fault) -> io::Result<()> {
    if let Some(bytes) = fault.send_buffer_bytes {
        SockRef::from(stream).set_send_buffer_size(bytes)?;
    }
    let mut to = stream;
    to.write_all(answer.head(fault, stays).as_bytes())
}

/// `Ok(false)` when it stopped as planned.
fn body(
    stream: &TcpStream,
    answer: &mut Answer,
    fault: &Fault,
    shared: &Throttle,
    sent: &mut u64,
) -> io::Result<bool> {
    let own = Throttle::new(fault.bytes_per_second);
    let most = [fault.piece_bytes, own.piece_bytes(), shared.piece_bytes()];
    let most = most
        .into_iter()
        .flatten()
        .fold(PIECE_BYTES, u64::min)
        .max(1);
    let stops_at = fault.stops_at();
    let mut piece = vec![0; usize::try_from(most).unwrap_or(1)];
    let mut to = stream;
    loop {
        let room = stops_at.map_or(most, |at| (at - *sent).min(most));
        let room = usize::try_from(room).unwrap_or(0);
        if room == 0 {
            stop(stream, fault)?;
            return Ok(false);
        }
        let n_bytes = answer.body.read(&mut piece[..room])?;
        if n_bytes == 0 {
            return Ok(true);
        }
        if fault.pace_millis > 0 {
            std::thread::sleep(Duration::from_millis(fault.pace_millis));
        }
        own.wait(n_bytes as u64);
        shared.wait(n_bytes as u64);
        let flip = fault.flip_at.and_then(|at| at.checked_sub(*sent));
        if let Some(byte) = flip.and_then(|at| piece[..n_bytes].get_mut(usize::try_from(at).ok()?))
        {
            *byte ^= 0x10;
        }
        to.write_all(&piece[..n_bytes])?;
        *sent += n_bytes as u64;
    }
}

/// Cuts, resets or lets the connection hang, whichever was planned first.
fn stop(stream: &TcpStream, fault: &Fault) -> io::Result<()> {
    let at = fault.stops_at();
    if fault.stall_at == at {
        // Nothing is expected from the other side, so the next thing that comes is its end.
        let mut from = stream;
        let mut byte = [0];
        while from.read(&mut byte)? > 0 {}
    } else if fault.reset_at == at {
        // What was sent arrives first; behind it a lingering time of nothing makes closing a reset.
        std::thread::sleep(Duration::from_millis(50));
        SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
    } else {
        stream.shutdown(Shutdown::Both)?;
    }
    Ok(())
}
