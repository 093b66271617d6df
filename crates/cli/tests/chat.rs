//! `chat` and signals with fixture models on the CPU reference.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};

use fixtures::TempDir;
use support::{command, package, str, tern_ok};

#[test]
fn chat_keeps_the_history_and_shows_the_speed() {
    let folder = TempDir::new("chat");
    let package = package(&folder, "g256/packed", &["--embed", "f16"]);
    let chat = |input: &str| {
        let args = [
            "chat",
            "--model",
            str(&package),
            "--device",
            "cpu",
            "--greedy",
            "--max-tokens",
            "6",
        ];
        let mut child = command(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let ran: support::Ran = output.into();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        (ran.stdout, ran.stderr)
    };
    let (once, stderr) = chat("Hello\n");
    assert!(stderr.contains("tokens/s"), "{stderr}");
    let single = tern_ok(&[
        "run",
        "--model",
        str(&package),
        "--device",
        "cpu",
        "--greedy",
        "--max-tokens",
        "6",
        "--prompt",
        "Hello",
    ]);
    assert_eq!(once, single);
    let (twice, _) = chat("Hello\nHello\n");
    assert!(twice.starts_with(&once));
    assert_ne!(
        twice,
        format!("{once}{once}"),
        "the second answer knows the first"
    );
    let (new, stderr) = chat("Hello\n/new\n\n/nonsense\nHello\n/quit\nHello\n");
    assert_eq!(new, format!("{once}{once}"));
    assert!(stderr.contains("/nonsense"), "{stderr}");
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let status = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_a_run_with_130() {
    let folder = TempDir::new("interrupt-run");
    let package = package(&folder, "g256/packed", &[]);
    // The answer fills what is left of the context, 248 tokens: long enough for a busy machine to be interrupted within it.
    let prompt = "x ".repeat(4);
    let args = [
        "run",
        "--model",
        str(&package),
        "--device",
        "cpu",
        "--raw",
        "--seed",
        "2",
        "--temperature",
        "5",
    ];
    let mut child = command(&[&args[..], &["--prompt", &prompt, "--speed"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    interrupt(&child);
    let ran: support::Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, Some(130), "{} {}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("error"), "{}", ran.stderr);
}

#[test]
#[cfg(unix)]
fn ctrl_c_at_the_chat_prompt_warns_once_and_then_leaves() {
    let folder = TempDir::new("interrupt-chat");
    let package = package(&folder, "g256/packed", &[]);
    let mut child = command(&["chat", "--model", str(&package), "--device", "cpu"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line_with = |word: &str| {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(
                stderr.read_line(&mut line).unwrap(),
                0,
                "no line with {word}"
            );
        }
    };
    line_with("/help");
    // The mode changes right after the greeting; a press before it would end the program at once.
    std::thread::sleep(std::time::Duration::from_millis(300));
    interrupt(&child);
    line_with("Ctrl-C again");
    assert!(child.try_wait().unwrap().is_none());
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
#[cfg(unix)]
fn ctrl_c_stops_an_answer_and_the_chat_goes_on() {
    let folder = TempDir::new("interrupt-answer");
    let package = package(&folder, "g256/packed", &[]);
    let args = [
        "chat",
        "--model",
        str(&package),
        "--device",
        "cpu",
        "--seed",
        "1",
        "--temperature",
        "5",
    ];
    let mut child = command(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"Hello\n").unwrap();
    let mut first = [0];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    interrupt(&child);
    stdin.write_all(b"Again\n/quit\n").unwrap();
    drop(stdin);
    let ran: support::Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let reports: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.contains("tokens/s"))
        .collect();
    assert_eq!(reports.len(), 2, "{}", ran.stderr);
    assert!(reports[0].contains("; stopped"), "{}", ran.stderr);
    assert!(!reports[1].contains("; stopped"), "{}", ran.stderr);
}

/// A base model has no template: the person and the model write one text in turn.
#[test]
fn chat_with_a_base_model_continues_a_text() {
    let folder = TempDir::new("base-chat");
    let input = folder.path().join("input");
    fixtures::copy_folder(&fixtures::path("g256/packed"), &input);
    let mut config: serde_json::Value = fixtures::json("g256/packed/tokenizer_config.json");
    config.as_object_mut().unwrap().remove("chat_template");
    std::fs::write(input.join("tokenizer_config.json"), config.to_string()).unwrap();
    let package = folder.path().join("package");
    tern_ok(&["convert", str(&input), str(&package), "--embed", "f16"]);
    let common = [
        "--model",
        str(&package),
        "--device",
        "cpu",
        "--greedy",
        "--max-tokens",
        "4",
    ];
    let mut child = command(&[&["chat"][..], &common].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = b"\nHello\n\n/new\nHello\n/quit\n";
    child.stdin.take().unwrap().write_all(lines).unwrap();
    let ran: support::Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("base model without a chat template"),
        "{}",
        ran.stderr
    );
    // An empty line lets it write more; a new text begins with nothing.
    let continued = |text: &str| tern_ok(&[&["run"][..], &common, &["--prompt", text]].concat());
    let first = continued("Hello");
    let more = continued(&format!("Hello{}", first.strip_suffix('\n').unwrap()));
    assert_eq!(ran.stdout, [first.as_str(), &more, &first].concat());
}
