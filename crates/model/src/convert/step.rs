//! One step of a conversion: bytes of the source in, pieces of a tensor out, nothing else.

mod codes;
mod decode;
mod magnitudes;
mod masters;
mod packed;
mod rows;
mod writer;

pub(crate) use codes::CodesTransform;
pub(crate) use masters::MastersTransform;
pub(crate) use packed::PackedTransform;
pub(crate) use rows::RowsTransform;
pub(crate) use writer::{Chunk, PieceWriter, chunks};

use crate::Error;
use crate::source::ByteRange;

/// A step: reads some ranges of the source and makes some pieces of one tensor.
#[derive(Debug, Clone)]
pub struct Step {
    /// Index into [`Plan::tensors`](super::Plan::tensors).
    pub tensor: usize,
    /// Index of the first piece that the step makes; the others follow.
    pub first_piece: usize,
    /// The bytes that [`StepRun::push`] takes, in this order. A range may occur twice: some matrices must be measured before
    /// they can be rounded.
    pub reads: Vec<ByteRange>,
    pub(crate) transform: Transform,
}

/// How inputs become pieces. Holds everything that is needed, so that a step can run anywhere.
#[derive(Debug, Clone)]
pub(crate) enum Transform {
    /// Reads: packed codes, scale.
    HuggingFacePacked(PackedTransform),
    /// Reads: the rows of one piece.
    Rows(RowsTransform),
    /// Reads: the scale, if there is one, then the blocks of every chunk of rows.
    Codes(CodesTransform),
    /// Reads: every chunk of rows, then every chunk again.
    Masters(MastersTransform),
}

/// The bytes of one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceBytes {
    /// Index of the piece in its tensor.
    pub piece: usize,
    /// Its bytes, as long as the plan says.
    pub bytes: Vec<u8>,
}

/// What a step makes.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    /// The multiplier of a ternary tensor.
    pub scale: Option<f32>,
    /// The pieces.
    pub pieces: Vec<PieceBytes>,
}

/// What turns the bytes of a step's reads into its pieces.
trait Work: Send {
    /// Takes the bytes of read `index`.
    fn push(&mut self, index: usize, bytes: Vec<u8>) -> Result<(), Error>;

    /// The result, when every read has been taken.
    fn finish(self: Box<Self>) -> Result<StepOutput, Error>;
}

/// A step at work: give it the bytes of [`Step::reads`] one after the other. It holds no more of them than it must.
pub struct StepRun<'s> {
    step: &'s Step,
    n_pushed: usize,
    work: Box<dyn Work + 's>,
}

impl Step {
    /// Bytes of all reads.
    pub fn read_bytes(&self) -> u64 {
        self.reads.iter().map(|range| range.bytes).sum()
    }

    /// Begins the step.
    pub fn start(&self) -> StepRun<'_> {
        let work: Box<dyn Work + '_> = match &self.transform {
            Transform::HuggingFacePacked(transform) => transform.start(self.first_piece),
            Transform::Rows(transform) => transform.start(self.first_piece),
            Transform::Codes(transform) => transform.start(self.first_piece),
            Transform::Masters(transform) => transform.start(self.first_piece),
        };
        StepRun {
            step: self,
            n_pushed: 0,
            work,
        }
    }

    /// Runs the whole step; `read` supplies the bytes of each range.
    ///
    /// # Errors
    /// If `read` fails, and as [`StepRun::push`] and [`StepRun::finish`].
    pub fn run(
        &self,
        mut read: impl FnMut(&ByteRange) -> Result<Vec<u8>, Error>,
    ) -> Result<StepOutput, Error> {
        let mut run = self.start();
        for range in &self.reads {
            run.push(read(range)?)?;
        }
        run.finish()
    }
}

impl StepRun<'_> {
    /// Takes the bytes of the next read.
    ///
    /// # Errors
    /// If they have another length than the range, there is no next read, or a value in them is not valid.
    pub fn push(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        let index = self.n_pushed;
        match self.step.reads.get(index) {
            Some(range) if range.bytes == bytes.len() as u64 => {}
            Some(range) => return Err(wrong_input(range, bytes.len() as u64)),
            None => return Err(self.wrong_count(index + 1)),
        }
        self.n_pushed += 1;
        self.work.push(index, bytes)
    }

    /// The result.
    ///
    /// # Errors
    /// If a read was not pushed, or the values together are not valid.
    pub fn finish(self) -> Result<StepOutput, Error> {
        if self.n_pushed != self.step.reads.len() {
            return Err(self.wrong_count(self.n_pushed));
        }
        self.work.finish()
    }

    fn wrong_count(&self, got: usize) -> Error {
        let missing = self.step.reads.get(got);
        let any = missing.or(self.step.reads.last());
        any.map_or(Error::Cancelled, |range| wrong_input(range, 0))
    }
}

fn wrong_input(range: &ByteRange, got: u64) -> Error {
    Error::FileLength {
        file: range.file.clone(),
        expected: format!("{} at {}", range.bytes, range.offset),
        got,
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
