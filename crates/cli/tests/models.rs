//! `run`, `logits` and `eval` with fixture models on the CPU reference.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use fixtures::{Golden, TempDir};
use support::{package, str, tern, tern_ok, tern_refuses};

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
    for (fixture, variant) in fixtures::VARIANTS {
        let golden = Golden::load(fixture);
        let class = golden.gamma_class(variant);
        let folder = TempDir::new("logits");
        // Nothing in the file says which form of I2_S it has.
        let options = match variant {
            "g256-i2_s-64.gguf" => &["--embed", "f16", "--i2s", "64"][..],
            _ => &["--embed", "f16"],
        };
        let package = package(&folder, &format!("{fixture}/{variant}"), options);
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
    // A base model continues the text, as --raw does, and says so.
    let raw = tern_ok(&[&base[..], &["--raw"]].concat());
    let ran: support::Ran = support::command(&base).output().unwrap().into();
    assert_eq!((ran.code, &ran.stdout), (Some(0), &raw));
    assert!(
        ran.stderr.contains("continues the prompt as a text"),
        "{}",
        ran.stderr
    );
    let with_system = [&base[..], &["--system", "y"]].concat();
    assert!(tern_refuses(&with_system).contains("no chat template"));
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
