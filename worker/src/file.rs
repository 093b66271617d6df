//! Files on their way in and out of the app, as a trait.

use std::future::Future;
use std::ops::Range;

use crate::Blob;

/// A file that a person chose, a part of one, or one that is made for a person. It is a handle: its bytes lie elsewhere until
/// they are read.
pub trait File: Clone {
    /// What is read of it.
    type Bytes: Blob;

    /// Its name without folders; empty for what is no whole file.
    fn name(&self) -> String;

    /// Its length in bytes.
    fn size(&self) -> u64;

    /// When it was changed last, in milliseconds since 1970; 0 for what is no whole file.
    fn modified_millis(&self) -> f64;

    /// A part of it. Nothing is read.
    #[must_use]
    fn slice(&self, range: Range<u64>) -> Self;

    /// All of its bytes.
    ///
    /// # Errors
    /// The platform's words: the file may be gone, or may have changed since it was chosen.
    fn read(&self) -> impl Future<Output = Result<Self::Bytes, String>>;

    /// A file of these bytes.
    ///
    /// # Errors
    /// The platform's words.
    fn of(bytes: &Self::Bytes) -> Result<Self, String>;

    /// A file of these parts, one behind the other. Nothing is read.
    ///
    /// # Errors
    /// The platform's words.
    fn joined(parts: &[Self]) -> Result<Self, String>;
}
