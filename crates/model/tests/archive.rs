//! Packages as tar archives: written, read back, compared with what `tar` makes, and refused when they are wrong.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use fixtures::TempDir;
use model::ArchiveError;
use model::archive::{BLOCK_BYTES, END_BYTES, Index, IndexReader, file_name, header, padding};
use model::manifest::FileHash;
use proptest::prelude::*;

const FILES: [(&str, &[u8]); 4] = [
    ("manifest.json", b"{}"),
    ("tokenizer.json", &[7; 511]),
    ("00000.bin", &[1; 512]),
    ("00001.bin", &[2; 513]),
];

/// Something that may be in an archive: name, kind, bytes.
type Entry<'a> = (&'a str, u8, &'a [u8]);

/// An archive, as the app makes them.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, contents) in files {
        bytes.extend(header(name, contents.len() as u64).unwrap());
        bytes.extend(*contents);
        bytes.resize(bytes.len() + padding(contents.len() as u64), 0);
    }
    bytes.resize(bytes.len() + END_BYTES, 0);
    bytes
}

fn index(archive: &[u8]) -> Result<Index, ArchiveError> {
    let mut reader = IndexReader::new(archive.len() as u64);
    while let Some(at) = reader.next_block()? {
        let at = at as usize;
        reader.push(archive[at..at + BLOCK_BYTES].try_into().unwrap())?;
    }
    reader.finish()
}

fn file(name: &str, bytes: usize) -> FileHash {
    FileHash {
        file: name.to_owned(),
        bytes: bytes as u64,
        sha256: String::new(),
    }
}

/// Asserts that all files are found in an archive with their bytes.
fn assert_holds(archive: &[u8], files: &[(&str, &[u8])]) {
    let index = index(archive).unwrap();
    let at = |place: std::ops::Range<u64>| &archive[place.start as usize..place.end as usize];
    assert_eq!(at(index.manifest()), files[0].1);
    for (name, contents) in files {
        let place = index.find(&file(name, contents.len())).unwrap();
        assert_eq!(at(place), *contents, "{name}");
    }
}

/// Gives a header the right checksum again.
fn sign(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// An archive with entries that the app would not write.
fn strange(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, contents) in entries {
        let mut block = header("x", contents.len() as u64).unwrap();
        block[..100].fill(0);
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[156] = *kind;
        sign(&mut block);
        bytes.extend(block);
        bytes.extend(*contents);
        bytes.resize(bytes.len() + padding(contents.len() as u64), 0);
    }
    bytes.resize(bytes.len() + END_BYTES, 0);
    bytes
}

fn tar(arguments: &[&str], folder: &Path) -> Vec<u8> {
    let mut command = Command::new("tar");
    let output = command.args(arguments).current_dir(folder).output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.is_empty(), "{told}");
    output.stdout
}

#[test]
fn tar_reads_what_is_written() {
    let folder = TempDir::new("archive");
    std::fs::write(folder.path().join("a.tar"), archive(&FILES)).unwrap();
    let listed = tar(&["tf", "a.tar"], folder.path());
    let names = "manifest.json\ntokenizer.json\n00000.bin\n00001.bin\n";
    assert_eq!(String::from_utf8(listed).unwrap(), names);
    tar(&["xf", "a.tar"], folder.path());
    for (name, contents) in FILES {
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(bytes, contents, "{name}");
    }
    assert_holds(&archive(&FILES), &FILES);
}

#[test]
fn what_tar_writes_is_read() {
    let folder = TempDir::new("archive");
    let package = folder.path().join("package");
    std::fs::create_dir(&package).unwrap();
    for (name, contents) in FILES {
        std::fs::write(package.join(name), contents).unwrap();
    }
    let names = FILES.map(|(name, _)| name);
    let shuffled = [names[0], names[3], names[1], names[2]];
    for format in ["ustar", "gnu"] {
        let format = format!("--format={format}");
        let mut plain = vec!["cf", "-", &format];
        plain.extend(shuffled);
        assert_holds(&tar(&plain, &package), &FILES);
        let inside = shuffled.map(|name| format!("package/{name}"));
        let mut with_folder = vec!["cf", "-", &format];
        with_folder.extend(inside.iter().map(String::as_str));
        assert_holds(&tar(&with_folder, folder.path()), &FILES);
        let dotted = shuffled.map(|name| format!("./{name}"));
        let mut with_dots = vec!["cf", "-", &format, "--no-recursion", "./"];
        with_dots.extend(dotted.iter().map(String::as_str));
        assert_holds(&tar(&with_dots, &package), &FILES);
    }
    let pax = tar(&["cf", "-", "--format=pax", "manifest.json"], &package);
    let what = "note in an extended (pax) header";
    assert!(matches!(index(&pax), Err(ArchiveError::Kind { what: found, .. }) if found == what));
}

#[test]
fn every_truncation_is_refused() {
    let whole = archive(&FILES);
    for length in 0..whole.len() {
        let error = index(&whole[..length]).unwrap_err();
        let is_truncated = matches!(
            error,
            ArchiveError::Truncated { needed, got } if needed > got && got == length as u64
        );
        assert!(is_truncated, "{length}: {error:?}");
    }
    // What tar fills its last record up with may be missing.
    let mut filled = whole.clone();
    filled.resize(whole.len() + 8192, 0);
    assert_eq!(index(&filled), index(&whole));
}

#[test]
fn hostile_archives_are_refused() {
    const MANIFEST: Entry<'static> = ("manifest.json", b'0', b"{}");
    let name = |name: &str| ArchiveError::Name {
        name: name.to_owned(),
    };
    for wrong in [
        "../a",
        "/etc/passwd",
        "a/../b",
        "a//b",
        "..",
        "./../a",
        "a\\b",
        "a\nb",
        "",
        "/",
        ".//",
    ] {
        let archive = strange(&[MANIFEST, (wrong, b'0', b"")]);
        assert_eq!(index(&archive), Err(name(wrong)), "{wrong:?}");
        let archive = strange(&[(wrong, b'5', b""), MANIFEST]);
        assert_eq!(index(&archive), Err(name(wrong)), "{wrong:?}");
    }
    for (kind, word) in [
        (b'1', "link"),
        (b'2', "link"),
        (b'3', "device"),
        (b'6', "device"),
        (b'L', "long"),
        (b'x', "pax"),
        (b'g', "pax"),
        (b'S', "holes"),
        (b'7', "not know"),
        (0xff, "not know"),
    ] {
        let error = index(&strange(&[("manifest.json", kind, b"")])).unwrap_err();
        let is_kind = matches!(&error, ArchiveError::Kind { .. });
        assert!(is_kind && error.to_string().contains(word), "{error}");
    }
    let twice = strange(&[MANIFEST, ("a", b'0', b""), ("./a", 0, b"")]);
    assert_eq!(index(&twice), Err(ArchiveError::Twice { name: "a".into() }));
    for first in ["a.bin", "a/b/manifest.json", "xmanifest.json"] {
        let other = strange(&[(first, b'0', b""), MANIFEST]);
        let expected = ArchiveError::NoManifest {
            first: first.to_owned(),
        };
        assert_eq!(index(&other), Err(expected));
    }
    let empty = index(&[0; END_BYTES]);
    assert!(matches!(empty, Err(ArchiveError::NoManifest { .. })));
    assert_eq!(index(&[b'G'; 4096]), Err(ArchiveError::NotTar));
    let mut folder = strange(&[("folder/", b'5', b"x"), MANIFEST]);
    assert!(matches!(
        index(&folder),
        Err(ArchiveError::Header { at: 0, .. })
    ));
    folder.truncate(0);
    assert!(matches!(
        index(&folder),
        Err(ArchiveError::Truncated { .. })
    ));
}

#[test]
fn lengths_and_headers_are_not_believed() {
    let with_size = |size: &[u8; 12]| {
        let mut bytes = archive(&FILES);
        bytes[124..136].copy_from_slice(size);
        sign(&mut bytes[..BLOCK_BYTES]);
        index(&bytes)
    };
    // More than there is.
    let beyond = with_size(b"77777777777\0");
    assert!(matches!(beyond, Err(ArchiveError::Truncated { needed, .. }) if needed > 1 << 32));
    for size in [
        b"            ",
        b"\0\0\0\0\0\0\0\0\0\0\0\0",
        b"0000000000-1",
        b"+00000000001",
        b"00000000008\0",
        b"777777777777",
        b"\x80\0\0\0\0\0\0\0\0\0\0\x02",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let error = with_size(size).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Header { at: 0, .. }),
            "{error}"
        );
    }
    let mut changed = archive(&FILES);
    changed[2 * BLOCK_BYTES] ^= 1;
    assert!(index(&changed).is_err());
    // One block of zeros is no end.
    let mut hole = archive(&FILES[..1]);
    let end = hole.len() - BLOCK_BYTES;
    hole.splice(end.., archive(&FILES[1..]));
    assert!(matches!(
        index(&hole),
        Err(ArchiveError::Header { at: 1536, .. })
    ));
}

#[test]
fn huge_counts_end() {
    let mut reader = IndexReader::new(u64::MAX);
    let push = |reader: &mut IndexReader, name: &str| {
        reader.next_block().unwrap();
        reader.push(&header(name, 0).unwrap())
    };
    push(&mut reader, "manifest.json").unwrap();
    let error = (0..1_000_000).find_map(|n| push(&mut reader, &format!("{n}")).err());
    assert!(matches!(
        error,
        Some(ArchiveError::TooMany { limit: 66_000 })
    ));
}

#[test]
fn what_the_manifest_names_has_to_be_there() {
    let index = index(&archive(&FILES)).unwrap();
    let missing = index.find(&file("00002.bin", 1)).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the archive lacks 00002.bin, which its manifest names"
    );
    let other = index.find(&file("00001.bin", 512)).unwrap_err();
    assert_eq!(
        other.to_string(),
        "the archive has 513 bytes of 00001.bin, its manifest says 512"
    );
}

#[test]
fn what_does_not_fit_a_header_is_not_written() {
    for name in [String::new(), "a".repeat(101), "a/b".into(), "a\0".into()] {
        let error = header(&name, 0).unwrap_err();
        assert!(matches!(error, ArchiveError::NameLength { limit: 100, .. }));
    }
    let longest = "a".repeat(100);
    assert_holds(
        &archive(&[("manifest.json", b"{}"), (&longest, b"x")]),
        &[("manifest.json", b"{}"), (&longest, b"x")],
    );
    assert!(header("a", (1 << 33) - 1).is_ok());
    let error = header("a", 1 << 33).unwrap_err();
    assert!(matches!(error, ArchiveError::FileLength { .. }), "{error}");
}

#[test]
fn archives_have_plain_names() {
    for (model, name) in [
        ("Tern 135M", "Tern-135M.tern.tar"),
        ("../../x", "x.tern.tar"),
        ("π", "model.tern.tar"),
        ("", "model.tern.tar"),
    ] {
        assert_eq!(file_name(model), name);
    }
    assert!(file_name(&"a".repeat(1000)).len() < 100);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in archives(), at in 0..3000usize, value: u8, signed: bool) {
        let at = at % bytes.len();
        bytes[at] = value;
        let start = at / BLOCK_BYTES * BLOCK_BYTES;
        if signed && let Some(block) = bytes.get_mut(start..start + BLOCK_BYTES) {
            sign(block);
        }
        if let Ok(index) = index(&bytes) {
            prop_assert!(index.manifest().end <= bytes.len() as u64);
        }
    }
}

fn archives() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(archive(&FILES)),
        proptest::collection::vec(any::<u8>(), 1..2000)
    ]
}
