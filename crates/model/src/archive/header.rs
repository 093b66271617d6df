//! One header of a tar archive: 512 bytes of text and octal digits.

use std::ops::Range;

use super::BLOCK_BYTES;
use crate::error::ArchiveError;

/// A header's bytes.
pub(super) type Block = [u8; BLOCK_BYTES];

/// Longest name of a file.
pub(crate) const MAX_NAME_BYTES: usize = 100;
const NAME: Range<usize> = 0..MAX_NAME_BYTES;
const MODE: Range<usize> = 100..108;
const OWNER: Range<usize> = 108..116;
const GROUP: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const TIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: Range<usize> = 257..262;
const MAGIC_AND_VERSION: Range<usize> = 257..265;
const PREFIX: Range<usize> = 345..500;

/// What POSIX writes there. GNU tar writes spaces behind the word, and times where POSIX has a prefix.
const POSIX: &[u8] = b"ustar\x0000";
/// Largest number of eleven octal digits: 8 GiB less one.
pub(super) const MAX_FILE_BYTES: u64 = (1 << 33) - 1;
/// The first second of 2026. Always the same, so that the same package gives the same archive; tar complains of the year 1970.
const WRITTEN_AT: u64 = 1_767_225_600;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Header {
    /// Zeros: the archive ends here.
    Zeros,
    /// A folder, which has no bytes.
    Folder(String),
    /// A file.
    File {
        /// Its name, as it is written.
        name: String,
        /// Its length.
        bytes: u64,
    },
}

/// The header of a file.
///
/// # Errors
/// If the name or the length does not fit.
pub(super) fn write(name: &str, bytes: u64) -> Result<Block, ArchiveError> {
    if name.is_empty() || name.len() > NAME.len() || name.contains(['/', '\0']) {
        return Err(ArchiveError::NameLength {
            name: name.to_owned(),
            limit: NAME.len(),
        });
    }
    if bytes > MAX_FILE_BYTES {
        return Err(ArchiveError::FileLength {
            name: name.to_owned(),
            bytes,
            limit: MAX_FILE_BYTES,
        });
    }
    let mut block = [0; BLOCK_BYTES];
    block[..name.len()].copy_from_slice(name.as_bytes());
    for (place, number) in [
        (MODE, 0o644),
        (OWNER, 0),
        (GROUP, 0),
        (SIZE, bytes),
        (TIME, WRITTEN_AT),
    ] {
        let digits = format!("{number:0width$o}", width = place.len() - 1);
        block[place.start..place.end - 1].copy_from_slice(digits.as_bytes());
    }
    block[KIND] = b'0';
    block[MAGIC_AND_VERSION].copy_from_slice(POSIX);
    // The checksum is six digits, a zero byte and a space, unlike the other numbers.
    let sum = format!("{:06o}\0 ", checksum(&block));
    block[CHECKSUM].copy_from_slice(sum.as_bytes());
    Ok(block)
}

/// Reads the header that begins at `at`.
///
/// # Errors
/// If it is none, or of something that is neither a file nor a folder.
pub(super) fn read(block: &Block, at: u64) -> Result<Header, ArchiveError> {
    if block.iter().all(|byte| *byte == 0) {
        return Ok(Header::Zeros);
    }
    let wrong = |what| ArchiveError::Header { at, what };
    if block[MAGIC] != POSIX[..MAGIC.len()] {
        return Err(match at {
            0 => ArchiveError::NotTar,
            _ => wrong("no mark of a tar archive"),
        });
    }
    if octal(&block[CHECKSUM]) != Some(checksum(block)) {
        return Err(wrong("a wrong checksum"));
    }
    let name = name(block).ok_or_else(|| wrong("a name that is no text"))?;
    let kind = match block[KIND] {
        0 | b'0' => None,
        b'5' => Some(Header::Folder(name.clone())),
        other => {
            let what = kind(other);
            return Err(ArchiveError::Kind { name, what });
        }
    };
    let bytes = octal(&block[SIZE]).filter(|bytes| *bytes <= MAX_FILE_BYTES);
    let bytes = bytes.ok_or_else(|| wrong("a length that is no octal number of eleven digits"))?;
    match kind {
        Some(_) if bytes > 0 => Err(wrong("a folder with a length")),
        Some(folder) => Ok(folder),
        None => Ok(Header::File { name, bytes }),
    }
}

/// What is not read, in words.
const fn kind(kind: u8) -> &'static str {
    match kind {
        b'1' | b'2' => "link",
        b'3' | b'4' | b'6' => "device",
        b'L' | b'K' => "name too long for a plain header",
        b'x' | b'g' | b'X' => "note in an extended (pax) header",
        b'S' => "file with holes",
        _ => "kind of entry that Tern does not know",
    }
}

/// The sum of all bytes, with spaces in place of the sum itself.
fn checksum(block: &Block) -> u64 {
    let byte = |(index, byte): (usize, &u8)| match CHECKSUM.contains(&index) {
        true => u64::from(b' '),
        false => u64::from(*byte),
    };
    block.iter().enumerate().map(byte).sum()
}

/// A number in octal digits, which may stand between spaces and end with a zero byte.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(until_zero(field))
        .ok()?
        .trim_matches(' ');
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // `from_str_radix` takes a sign as well.
    u64::from_str_radix(text, 8).ok().filter(|_| is_digits)
}

/// The whole name.
fn name(block: &Block) -> Option<String> {
    let name = std::str::from_utf8(until_zero(&block[NAME])).ok()?;
    let prefix = match block[MAGIC_AND_VERSION] == *POSIX {
        true => std::str::from_utf8(until_zero(&block[PREFIX])).ok()?,
        false => "",
    };
    Some(match prefix {
        "" => name.to_owned(),
        prefix => format!("{prefix}/{name}"),
    })
}

fn until_zero(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}
