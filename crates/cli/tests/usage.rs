//! Help, wrong usage, exit codes, and readers that go away.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use fixtures::TempDir;
use support::{command, str, tern, tern_ok, tern_refuses};

#[test]
fn without_arguments_and_with_help_it_explains_itself() {
    let alone = tern_ok(&[]);
    let help = tern_ok(&["--help"]);
    for text in [&alone, &help] {
        for word in [
            "Usage: tern",
            "convert",
            "inspect",
            "verify",
            "chat",
            "run",
            "logits",
            "eval",
            "bench",
            "Exit codes",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
    }
    for name in [
        "convert", "inspect", "verify", "chat", "run", "logits", "eval", "bench",
    ] {
        assert!(tern_ok(&[name, "--help"]).contains(&format!("Usage: tern {name}")));
    }
    assert!(tern_ok(&["--version"]).starts_with("tern "));
}

#[test]
fn wrong_usage_is_one_line_and_exit_code_2() {
    for (args, word) in [
        (&["fly"][..], "fly"),
        (&["run"], "--model"),
        (
            &[
                "run",
                "--model",
                "x",
                "--prompt",
                "y",
                "--temperature",
                "-3",
            ],
            "0 or more",
        ),
        (
            &["run", "--model", "x", "--prompt", "y", "--kv", "f8"],
            "f8",
        ),
        (
            &[
                "run", "--model", "x", "--prompt", "y", "--greedy", "--seed", "1",
            ],
            "--greedy",
        ),
        (
            &[
                "run", "--model", "x", "--prompt", "y", "--raw", "--system", "z",
            ],
            "--system",
        ),
        (
            &["logits", "--model", "x", "--tokens", "1,two", "--out", "y"],
            "two",
        ),
        (&["convert", "x"], "OUTPUT"),
        (&["convert", ".", "y", "--group", "32"], "--embed q6"),
        (
            &["convert", "x", "y", "--embed", "q6", "--group", "48"],
            "48",
        ),
    ] {
        let line = tern_refuses(args);
        assert!(line.contains(word), "{word} in {line}");
    }
}

#[test]
fn missing_files_are_named() {
    let folder = TempDir::new("missing");
    let nowhere = folder.path().join("nowhere");
    let nowhere = str(&nowhere);
    let out = folder.path().join("out");
    for args in [
        &["inspect", nowhere][..],
        &["verify", nowhere],
        &["convert", nowhere, str(&out)],
        &["chat", "--model", nowhere],
        &["run", "--model", nowhere, "--prompt", "x"],
        &[
            "logits",
            "--model",
            nowhere,
            "--tokens",
            "1",
            "--out",
            str(&out),
        ],
        &["eval", "--model", nowhere, "--tokens", nowhere],
    ] {
        let line = tern_refuses(args);
        assert!(line.contains("nowhere"), "{line}");
    }
    assert!(!out.exists());
    // A folder without any model, and a file where a folder is due.
    assert!(tern_refuses(&["inspect", str(folder.path())]).contains("is missing"));
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(tern_refuses(&["inspect", str(&file)]).contains("file"));
}

#[test]
fn a_closed_output_is_a_normal_end() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = command(&["inspect", str(&fixtures::path("g256/packed"))])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(0));
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), "");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_a_failure_and_not_bad_input() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let ran = command(&["inspect", str(&fixtures::path("g256/packed"))])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        String::from_utf8(ran.stderr)
            .unwrap()
            .starts_with("error: cannot write to standard output")
    );
}

#[test]
fn an_adapter_that_does_not_exist_is_named() {
    let folder = TempDir::new("adapter");
    let package = support::package(&folder, "g256/packed", &[]);
    let base = [
        "run",
        "--model",
        str(&package),
        "--prompt",
        "x",
        "--adapter",
        "no such adapter",
    ];
    let line = tern_refuses(&base);
    assert!(
        line.contains("no such adapter") && line.contains("adapter"),
        "{line}"
    );
    assert!(tern_refuses(&[&base[..], &["--device", "cpu"]].concat()).contains("--device cpu"));
    assert_eq!(tern(&["bench", "--shape", "no-such-shape"]).code, Some(2));
    // What is not given has to be valid as well.
    let line = tern_refuses(&["bench", "--model", "no-such-folder"]);
    assert!(line.contains("cannot read no-such-folder"), "{line}");
}
