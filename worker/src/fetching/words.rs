//! Problems of a download in the words of the protocol.

use model::download::{Failure, Problem};
use protocol::{Fault, FaultCode, FetchTrouble};

/// The fault of a download that failed.
pub(super) fn fault(failure: &Failure) -> Fault {
    let code = match failure.problem {
        Problem::Busy { .. } => FaultCode::Busy,
        Problem::Page => FaultCode::WebPage,
        Problem::WrongLength { .. }
        | Problem::TooLong { .. }
        | Problem::Changed
        | Problem::WrongHash { .. } => FaultCode::Corrupt,
        Problem::Missing { .. } => FaultCode::NotFound,
        Problem::Refused { .. } => FaultCode::Refused,
        // No answer, half an answer, or one that means nothing here.
        _ => FaultCode::Network,
    };
    Fault::new(code, failure.to_string())
}

/// What a person should know of a problem that may pass.
pub(super) const fn trouble(problem: &Problem) -> FetchTrouble {
    match problem {
        Problem::Stalled { .. } => FetchTrouble::Stalled,
        Problem::Busy { .. } => FetchTrouble::Busy,
        Problem::Page => FetchTrouble::WebPage,
        Problem::WrongLength { .. }
        | Problem::TooLong { .. }
        | Problem::Changed
        | Problem::WrongHash { .. } => FetchTrouble::Wrong,
        _ => FetchTrouble::Connection,
    }
}
