//! The page's state, without a page: what was said, what the worker is doing, and what to do next.
//!
//! [`State`] is a plain struct. [`State::on`] takes an [`Action`] (the person did something, the worker said something,
//! time went by) and returns [`Effect`]s; the binary of this crate performs them and draws the state with Leptos. So
//! every story of the page is tested natively.

mod state;
pub mod strings;
mod switches;

pub use state::{Action, Answer, Check, Effect, Finish, Phase, State, Turn};
pub use switches::Switches;
