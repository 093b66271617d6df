//! Every message as JSON. A change here is a change of the protocol: raise `PROTOCOL_VERSION` and `docs/PROTOCOL.md`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use protocol::{
    AdapterInfo, ByteCount, CompileReport, CompileResult, DeviceReport, EqualityReport,
    EqualityResult, Event, Fault, FaultCode, FinishReason, Generate, Hello, KvType, Limit,
    LoadProgress, Message, ModelInfo, Outcome, Request, RequestId, Retry, Role, SamplingSettings,
    Settings, Status, Usage,
};
use serde::{Serialize, de::DeserializeOwned};

const ID: RequestId = RequestId(7);

/// Writes `value`, compares with `expected`, reads it back. Returns the message's name.
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    value: &T,
    expected: &str,
) -> String {
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *value);
    match serde_json::from_str(&json).unwrap() {
        serde_json::Value::String(name) => name,
        serde_json::Value::Object(object) => object.keys().next().unwrap().clone(),
        other => panic!("a message is a name or an object with one key, got {other}"),
    }
}

fn bytes(n: u64) -> ByteCount {
    ByteCount::new(n).unwrap()
}

#[test]
fn requests() {
    let settings = Settings {
        context: 2048,
        kv: KvType::F32,
        prefill_chunk: 64,
        ..Settings::default()
    };
    let job = Generate {
        messages: vec![
            Message {
                role: Role::System,
                content: "Be kind.".into(),
            },
            Message {
                role: Role::User,
                content: "Say \"hi\"\n<b>".into(),
            },
            Message {
                role: Role::Assistant,
                content: "hi".into(),
            },
        ],
        sampling: SamplingSettings {
            temperature: 0.5,
            top_p: 0.9,
            seed: 4_294_967_295,
            ..SamplingSettings::default()
        },
        max_tokens: 256,
        resume: vec![1, 2],
    };
    let cases = [
        (
            Request::Hello(Hello {
                version: 1,
                build: "dev".into(),
            }),
            r#"{"Hello":{"version":1,"build":"dev"}}"#,
        ),
        (
            Request::Load {
                id: ID,
                model_url: "https://host/models/m/".into(),
                settings,
            },
            r#"{"Load":{"id":7,"model_url":"https://host/models/m/","settings":{"version":1,"context":2048,"kv":"F32","prefill_chunk":64,"subgroups":true}}}"#,
        ),
        (
            Request::Generate { id: ID, job },
            r#"{"Generate":{"id":7,"job":{"messages":[{"role":"System","content":"Be kind."},{"role":"User","content":"Say \"hi\"\n<b>"},{"role":"Assistant","content":"hi"}],"sampling":{"temperature":0.5,"top_k":0,"top_p":0.9,"min_p":0.0,"repetition_penalty":1.0,"repetition_window":64,"seed":4294967295},"max_tokens":256,"resume":[1,2]}}}"#,
        ),
        (Request::Cancel { id: ID }, r#"{"Cancel":{"id":7}}"#),
        (
            Request::CompileAllVariants { id: ID },
            r#"{"CompileAllVariants":{"id":7}}"#,
        ),
        (
            Request::PrefillEqualsDecode {
                id: ID,
                lengths: vec![1, 64, 300],
                truncate: 17,
            },
            r#"{"PrefillEqualsDecode":{"id":7,"lengths":[1,64,300],"truncate":17}}"#,
        ),
        (
            Request::DescribeDevice { id: ID },
            r#"{"DescribeDevice":{"id":7}}"#,
        ),
    ];
    let names: BTreeSet<String> = cases
        .iter()
        .map(|(request, expected)| check(request, expected))
        .collect();
    assert_eq!(
        names.len(),
        7,
        "one case for each kind of request: {names:?}"
    );
}

#[test]
fn events() {
    let cases = [
        (
            Event::Hello(Hello {
                version: 1,
                build: "dev".into(),
            }),
            r#"{"Hello":{"version":1,"build":"dev"}}"#,
        ),
        (Event::Beat, r#""Beat""#),
        (
            Event::Trap {
                text: "panicked at x.rs:1".into(),
            },
            r#"{"Trap":{"text":"panicked at x.rs:1"}}"#,
        ),
        (
            Event::Status(Status::DeviceLost {
                detail: "gone".into(),
            }),
            r#"{"Status":{"DeviceLost":{"detail":"gone"}}}"#,
        ),
        (
            Event::Loading {
                id: ID,
                progress: LoadProgress {
                    shards_done: 1,
                    shards_total: 4,
                    bytes_done: bytes(8_388_608),
                    bytes_total: bytes(33_000_000),
                },
            },
            r#"{"Loading":{"id":7,"progress":{"shards_done":1,"shards_total":4,"bytes_done":8388608,"bytes_total":33000000}}}"#,
        ),
        (
            Event::Prefill {
                id: ID,
                done: 64,
                total: 100,
            },
            r#"{"Prefill":{"id":7,"done":64,"total":100}}"#,
        ),
        (
            Event::Tokens {
                id: ID,
                sequence: 3,
                text: " Paris".into(),
                ids: vec![7042],
            },
            r#"{"Tokens":{"id":7,"sequence":3,"text":" Paris","ids":[7042]}}"#,
        ),
        (
            Event::Finished {
                id: ID,
                outcome: Box::new(Outcome::Cancelled),
            },
            r#"{"Finished":{"id":7,"outcome":"Cancelled"}}"#,
        ),
        (
            Event::Failed {
                id: Some(ID),
                fault: Fault {
                    code: FaultCode::Corrupt,
                    detail: "shard 2".into(),
                    retry: Retry::Again,
                },
            },
            r#"{"Failed":{"id":7,"fault":{"code":"Corrupt","detail":"shard 2","retry":"Again"}}}"#,
        ),
    ];
    let names: BTreeSet<String> = cases
        .iter()
        .map(|(event, expected)| check(event, expected))
        .collect();
    assert_eq!(names.len(), 9, "one case for each kind of event: {names:?}");
    let terminal: Vec<_> = cases
        .iter()
        .filter(|(event, _)| event.is_terminal())
        .map(|(event, _)| event.id())
        .collect();
    assert_eq!(terminal, [Some(ID), Some(ID)]);
}

#[test]
fn statuses() {
    check(
        &Status::DeviceRestored { generation: 2 },
        r#"{"DeviceRestored":{"generation":2}}"#,
    );
    check(
        &Status::FetchRetry {
            file: "00003.bin".into(),
            attempt: 2,
        },
        r#"{"FetchRetry":{"file":"00003.bin","attempt":2}}"#,
    );
}

#[test]
fn outcomes() {
    let info = ModelInfo {
        name: "Tern 135M".into(),
        license: None,
        context: 2048,
        sampling: Some(SamplingSettings::default()),
        weight_bytes: bytes(1),
        kv_bytes: bytes(2),
        activation_bytes: bytes(3),
        load_millis: 12.5,
    };
    let usage = Usage {
        prompt_tokens: 35,
        answer_tokens: 7,
        first_token_millis: 80.5,
        tokens_per_second: 20.25,
        recoveries: 1,
    };
    let compiled = CompileReport {
        results: vec![
            CompileResult {
                kernel: "rmsnorm".into(),
                variant: "packed-shared-f16".into(),
                error: None,
            },
            CompileResult {
                kernel: "rope".into(),
                variant: "scalar-shared-f32".into(),
                error: Some("no".into()),
            },
        ],
    };
    assert_eq!(compiled.n_failed(), 1);
    let difference = "layer 3 key of head 0 at position 5".to_owned();
    let compared = EqualityReport {
        results: vec![
            EqualityResult {
                n_tokens: 1,
                truncated: false,
                difference: None,
            },
            EqualityResult {
                n_tokens: 2,
                truncated: true,
                difference: Some(difference),
            },
        ],
    };
    assert!(!compared.all_equal());
    assert!(!EqualityReport { results: vec![] }.all_equal());
    assert!(
        EqualityReport {
            results: vec![EqualityResult {
                n_tokens: 1,
                truncated: false,
                difference: None
            }]
        }
        .all_equal()
    );
    let described = DeviceReport {
        adapter: AdapterInfo {
            vendor: "mesa".into(),
            is_fallback: Some(true),
            ..AdapterInfo::default()
        },
        adapter_features: vec!["shader-f16".into(), "subgroups".into()],
        device_features: vec!["subgroups".into()],
        language_features: vec!["packed_4x8_integer_dot_product".into()],
        limits: vec![Limit {
            name: "maxBufferSize".into(),
            value: 4_294_967_296.0,
        }],
        engine: "WebGPU".into(),
        variant: "packed-subgroup-f16".into(),
        generation: 1,
    };
    let cases = [
        (
            Outcome::Loaded(info),
            r#"{"Loaded":{"name":"Tern 135M","license":null,"context":2048,"sampling":{"temperature":0.0,"top_k":0,"top_p":1.0,"min_p":0.0,"repetition_penalty":1.0,"repetition_window":64,"seed":0},"weight_bytes":1,"kv_bytes":2,"activation_bytes":3,"load_millis":12.5}}"#,
        ),
        (
            Outcome::Answered {
                reason: FinishReason::Stop,
                usage,
            },
            r#"{"Answered":{"reason":"Stop","usage":{"prompt_tokens":35,"answer_tokens":7,"first_token_millis":80.5,"tokens_per_second":20.25,"recoveries":1}}}"#,
        ),
        (Outcome::Cancelled, r#""Cancelled""#),
        (
            Outcome::Compiled(compiled),
            r#"{"Compiled":{"results":[{"kernel":"rmsnorm","variant":"packed-shared-f16","error":null},{"kernel":"rope","variant":"scalar-shared-f32","error":"no"}]}}"#,
        ),
        (
            Outcome::Compared(compared),
            r#"{"Compared":{"results":[{"n_tokens":1,"truncated":false,"difference":null},{"n_tokens":2,"truncated":true,"difference":"layer 3 key of head 0 at position 5"}]}}"#,
        ),
        (
            Outcome::Described(described),
            r#"{"Described":{"adapter":{"vendor":"mesa","architecture":"","device":"","description":"","is_fallback":true},"adapter_features":["shader-f16","subgroups"],"device_features":["subgroups"],"language_features":["packed_4x8_integer_dot_product"],"limits":[{"name":"maxBufferSize","value":4294967296.0}],"engine":"WebGPU","variant":"packed-subgroup-f16","generation":1}}"#,
        ),
    ];
    let names: BTreeSet<String> = cases
        .iter()
        .map(|(outcome, expected)| check(outcome, expected))
        .collect();
    assert_eq!(
        names.len(),
        6,
        "one case for each kind of outcome: {names:?}"
    );
}

#[test]
fn plain_names() {
    for (reason, expected) in [
        (FinishReason::Stop, "\"Stop\""),
        (FinishReason::Length, "\"Length\""),
        (FinishReason::Context, "\"Context\""),
        (FinishReason::Cancelled, "\"Cancelled\""),
    ] {
        check(&reason, expected);
    }
    for (retry, expected) in [
        (Retry::Never, "\"Never\""),
        (Retry::Again, "\"Again\""),
        (Retry::Reload, "\"Reload\""),
    ] {
        check(&retry, expected);
    }
    let codes: Vec<String> = FaultCode::ALL
        .iter()
        .map(|code| serde_json::to_string(code).unwrap())
        .collect();
    assert_eq!(
        codes.join(" "),
        concat!(
            r#""VersionMismatch" "BadRequest" "NoWebGpu" "NoAdapter" "LimitsTooSmall" "DeviceLost" "OutOfMemory" "Gpu" "#,
            r#""Network" "NotFound" "BadModel" "Corrupt" "NoChat" "Text" "PromptTooLong" "Trap" "Silent""#
        )
    );
    for (role, expected) in [
        (Role::System, "system"),
        (Role::User, "user"),
        (Role::Assistant, "assistant"),
    ] {
        assert_eq!(role.as_str(), expected);
    }
}

#[test]
fn wrong_messages_are_refused() {
    for json in [
        r#"{"Unknown":{}}"#,
        r#"{"Cancel":{"id":-1}}"#,
        r#"{"Cancel":{"id":4294967296}}"#,
        r#"{"Cancel":{}}"#,
        r#"{"Load":{"id":1,"model_url":3,"settings":{}}}"#,
        r#"[]"#,
        "null",
    ] {
        assert!(
            serde_json::from_str::<Request>(json).is_err(),
            "accepted {json}"
        );
    }
    let absent = r#"{"Generate":{"id":1,"job":{"messages":[],"sampling":{},"max_tokens":0}}}"#;
    let Request::Generate { job, .. } = serde_json::from_str(absent).unwrap() else {
        panic!("wrong kind")
    };
    assert_eq!(
        (job.sampling, job.resume),
        (SamplingSettings::default(), vec![])
    );
}
