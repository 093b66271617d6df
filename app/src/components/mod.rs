//! Parts that screens are made of.

mod copy;
mod icon;
mod link;
mod markdown;
mod modal;

pub(crate) use copy::{CopyButton, CopyStyle};
pub(crate) use icon::{Icon, Shape};
pub(crate) use link::LinkDialog;
pub(crate) use markdown::{LiveMarkdown, Markdown};
pub(crate) use modal::{Confirm, Modal};
