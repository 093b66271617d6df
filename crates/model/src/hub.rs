//! Where models come from on the network: addresses that people write, and what a hub (Hugging Face, or a server laid out like
//! it) says about a repository. Nothing here touches a network: addresses go out, texts come in.

mod address;
mod choose;
mod listing;
mod place;

pub use address::{Address, Hub, Repository};
pub use choose::{Choice, ChoiceKind};
pub use listing::{Listed, Listing, MAX_LISTING_BYTES};
pub use place::{HUGGING_FACE, Place};
