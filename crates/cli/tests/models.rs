//! `run`, `logits`, `eval` and `chat` with fixture models on the CPU reference.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};

use fixtures::{Golden, TempDir};
use support::{command, package, str, tern, tern_ok, tern_refuses};

/// f32 cache and exact embedding, which the references have.
const EXACT: [&str; 4] = ["--kv", "f32", "--device", "cpu"];

fn comma_separated(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn read_f32s(path: &std::path::Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// Root mean square of the difference, relative to that of the reference.
fn rms_relative(got: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(got.len(), reference.len());
    let square = |x: f64| x * x;
    let difference: f64 = got
        .iter()
        .zip(reference)
        .map(|(a, b)| square(f64::from(a - b)))
        .sum();
    let size: f64 = reference.iter().map(|b| square(f64::from(*b))).sum();
    (difference / size).sqrt()
}

#[test]
fn logits_of_stable_prompts_are_the_reference() {
    for (fixture, variant) in fixtures::PACKED {
        let golden = Golden::load(fixture);
        let class = golden.gamma_class(variant);
        let folder = TempDir::new("logits");
        let package = package(
            &folder,
            &format!("{fixture}/{variant}"),
            &["--embed", "f16"],
        );
        let stable: Vec<_> = golden
            .prompts
            .iter()
            .filter(|prompt| prompt.kind == "stable")
            .collect();
        assert!(!stable.is_empty(), "{fixture}");
        for prompt in stable {
            let out = folder.path().join("logits");
            let ids = comma_separated(&prompt.ids);
            let args = [
                "logits",
                "--model",
                str(&package),
                "--tokens",
                &ids,
                "--out",
                str(&out),
            ];
            tern_ok(&[&args[..], &EXACT].concat());
            assert_eq!(prompt.classes[class].first_row, 0);
            let error = rms_relative(&read_f32s(&out), &golden.logits(prompt, class));
            assert!(
                error <= 1e-5,
                "{fixture}/{variant} {}: {error}",
                prompt.name
            );
        }
    }
}

#[test]
fn greedy_answers_are_the_reference() {
    for (fixture, variant) in [("g256", "packed"), ("gl256", "packed_div")] {
        let golden = Golden::load(fixture);
        let prompt = golden.prompt("gen");
        let expected = &prompt.classes[golden.gamma_class(variant)];
        assert!(
            expected.greedy_robust && !expected.greedy.is_empty(),
            "{fixture}"
        );
        let folder = TempDir::new("greedy");
        let package = package(
            &folder,
            &format!("{fixture}/{variant}"),
            &["--embed", "f16"],
        );
        let ids = folder.path().join("ids.json");
        let text = prompt.text.as_deref().unwrap();
        let n_tokens = expected.greedy.len().to_string();
        let ids_option = format!("--ids={}", str(&ids));
        let args = [
            "run",
            "--model",
            str(&package),
            "--raw",
            "--greedy",
            "--prompt",
            text,
            &ids_option,
        ];
        let stdout = tern_ok(&[&args[..], &["--max-tokens", &n_tokens], &EXACT].concat());
        let written: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&ids).unwrap()).unwrap();
        let numbers =
            |key: &str| -> Vec<u32> { serde_json::from_value(written[key].clone()).unwrap() };
        assert_eq!(numbers("prompt_ids"), prompt.ids);
        assert_eq!(numbers("ids"), expected.greedy, "{fixture}");
        assert_eq!(stdout, format!("{}\n", written["text"].as_str().unwrap()));
    }
}

#[test]
fn eval_is_the_loss_of_the_reference_logits() {
    let golden = Golden::load("g256");
    let class = golden.gamma_class("packed");
    let folder = TempDir::new("eval");
    let package = package(&folder, "g256/packed", &["--embed", "f16"]);
    let prompts = [golden.prompt("short"), golden.prompt("medium")];
    let file = folder.path().join("tokens.json");
    let arrays: Vec<_> = prompts.iter().map(|prompt| &prompt.ids).collect();
    std::fs::write(&file, serde_json::to_string(&arrays).unwrap()).unwrap();
    let args = ["eval", "--model", str(&package), "--tokens", str(&file)];
    let result: serde_json::Value =
        serde_json::from_str(&tern_ok(&[&args[..], &EXACT].concat())).unwrap();

    let mut total = 0.0;
    let mut n_predictions = 0;
    for (prompt, got) in prompts.iter().zip(result["per_array"].as_array().unwrap()) {
        let logits = golden.logits(prompt, class);
        let rows = logits
            .chunks_exact(golden.arch.vocab as usize)
            .zip(&prompt.ids[1..]);
        let losses = rows.map(|(row, next)| {
            let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
            sum.ln() - f64::from(row[*next as usize])
        });
        let sum: f64 = losses.sum();
        let n = prompt.ids.len() - 1;
        let got = got.as_f64().unwrap();
        assert!(
            (got - sum / n as f64).abs() < 1e-4,
            "{}: {got} {}",
            prompt.name,
            sum / n as f64
        );
        total += sum;
        n_predictions += n;
    }
    assert_eq!(result["tokens"], n_predictions);
    let got = result["cross_entropy"].as_f64().unwrap();
    assert!((got - total / n_predictions as f64).abs() < 1e-4, "{got}");
}

#[test]
fn tokens_that_do_not_fit_are_refused() {
    let folder = TempDir::new("tokens");
    let package = package(&folder, "g256/packed", &[]);
    let out = folder.path().join("out");
    let model = ["--model", str(&package), "--device", "cpu"];
    let logits = |tokens: &str| {
        tern_refuses(
            &[
                &["logits", "--tokens", tokens, "--out", str(&out)],
                &model[..],
            ]
            .concat(),
        )
    };
    assert!(logits("1,384").contains("384"));
    assert!(logits(&comma_separated(&[1; 257])).contains("256"));
    assert!(!out.exists());
    let file = folder.path().join("tokens.json");
    for (json, word) in [
        ("[]", "no array"),
        ("[[1]]", "at least 2"),
        ("{}", "JSON"),
        ("[[1,999]]", "999"),
        ("[[1,-1]]", "JSON"),
    ] {
        std::fs::write(&file, json).unwrap();
        let line = tern_refuses(&[&["eval", "--tokens", str(&file)], &model[..]].concat());
        assert!(line.contains(word), "{json}: {line}");
    }
    let run = |args: &[&str]| tern_refuses(&[&["run"], &model[..], args].concat());
    assert!(run(&["--prompt", "x", "--context", "300"]).contains("256"));
    assert!(
        run(&[
            "--raw",
            "--context",
            "4",
            "--prompt",
            "one two three four five"
        ])
        .contains("context of 4")
    );
}

#[test]
fn base_models_and_models_without_tokenizer_say_so() {
    let folder = TempDir::new("no-text");
    let package = package(&folder, "h320/packed_mul", &[]);
    let line = tern_refuses(&[
        "run",
        "--model",
        str(&package),
        "--device",
        "cpu",
        "--prompt",
        "x",
    ]);
    assert!(line.contains("no tokenizer"), "{line}");
    let folder = TempDir::new("no-template");
    let input = folder.path().join("input");
    fixtures::copy_folder(&fixtures::path("g256/packed"), &input);
    let mut config: serde_json::Value = fixtures::json("g256/packed/tokenizer_config.json");
    config.as_object_mut().unwrap().remove("chat_template");
    std::fs::write(input.join("tokenizer_config.json"), config.to_string()).unwrap();
    let package = folder.path().join("package");
    tern_ok(&["convert", str(&input), str(&package)]);
    let base = [
        "run",
        "--model",
        str(&package),
        "--device",
        "cpu",
        "--greedy",
        "--max-tokens",
        "2",
        "--prompt",
        "x",
    ];
    assert!(tern_refuses(&base).contains("no chat template"));
    tern_ok(&[&base[..], &["--raw"]].concat());
}

#[test]
fn seeds_decide_the_answer_and_greedy_ignores_chance() {
    let folder = TempDir::new("seeds");
    let package = package(&folder, "g256/packed", &[]);
    let run = |options: &[&str]| {
        let args = [
            "run",
            "--model",
            str(&package),
            "--device",
            "cpu",
            "--prompt",
            "Hello",
            "--max-tokens",
            "12",
        ];
        tern_ok(&[&args[..], options].concat())
    };
    let hot = |seed: &str| run(&["--temperature", "3", "--top-p", "1", "--seed", seed]);
    assert_eq!(hot("1"), hot("1"));
    assert!(
        (2..6).any(|seed| hot(&seed.to_string()) != hot("1")),
        "no seed changes anything"
    );
    assert_eq!(
        run(&["--greedy"]),
        run(&["--temperature", "0", "--repetition-penalty", "1"])
    );
    // One candidate is no choice, whatever the temperature.
    assert_eq!(
        run(&["--greedy"]),
        run(&[
            "--temperature",
            "3",
            "--top-k",
            "1",
            "--repetition-penalty",
            "1"
        ])
    );
}

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
    // A prompt of 240 tokens on the CPU reference takes long enough to be caught before or within the answer.
    let prompt = "x ".repeat(120);
    let args = [
        "run",
        "--model",
        str(&package),
        "--device",
        "cpu",
        "--raw",
        "--seed",
        "1",
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

#[test]
fn ids_go_to_stderr_on_request() {
    let folder = TempDir::new("ids");
    let package = package(&folder, "g256/packed", &[]);
    let args = [
        "run",
        "--model",
        str(&package),
        "--device",
        "cpu",
        "--greedy",
        "--max-tokens",
        "3",
        "--prompt",
        "Hi",
    ];
    let ran = tern(&[&args[..], &["--ids"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let line: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    // The chat template's prompt, from tokenization.json.
    let expected = [
        378, 361, 263, 25, 220, 39, 72, 380, 358, 82, 335, 83, 283, 83, 25, 220,
    ];
    assert_eq!(line["prompt_ids"], serde_json::json!(expected));
    assert!((1..=3).contains(&line["ids"].as_array().unwrap().len()));
}
