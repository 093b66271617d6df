//! What the page sends.

use std::collections::BTreeSet;

use protocol::{Budget, ByteCount};
use protocol::{
    Generate, Hello, KvType, Message, Request, Role, SamplingSettings, Settings, ShapeJob,
};

use crate::{ID, check};

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
            Message::new(Role::System, "Be kind."),
            Message::new(Role::User, "Say \"hi\"\n<b>"),
            Message {
                role: Role::Assistant,
                content: "hi".into(),
                ids: vec![6151],
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
            Request::Inspect {
                id: ID,
                model_url: "https://host/models/m/".into(),
            },
            r#"{"Inspect":{"id":7,"model_url":"https://host/models/m/"}}"#,
        ),
        (
            Request::OpenFiles { id: ID, files: 2 },
            r#"{"OpenFiles":{"id":7,"files":2}}"#,
        ),
        (
            Request::SaveModel {
                id: ID,
                model_url: "https://host/models/m/".into(),
            },
            r#"{"SaveModel":{"id":7,"model_url":"https://host/models/m/"}}"#,
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
            Request::Download {
                id: ID,
                model_url: "terns/one".into(),
            },
            r#"{"Download":{"id":7,"model_url":"terns/one"}}"#,
        ),
        (
            Request::Generate { id: ID, job },
            r#"{"Generate":{"id":7,"job":{"messages":[{"role":"System","content":"Be kind."},{"role":"User","content":"Say \"hi\"\n<b>"},{"role":"Assistant","content":"hi","ids":[6151]}],"sampling":{"temperature":0.5,"top_k":0,"top_p":0.9,"min_p":0.0,"repetition_penalty":1.0,"repetition_window":64,"seed":4294967295},"max_tokens":256,"resume":[1,2]}}}"#,
        ),
        (Request::Cancel { id: ID }, r#"{"Cancel":{"id":7}}"#),
        (Request::Pause { id: ID }, r#"{"Pause":{"id":7}}"#),
        (Request::Resume { id: ID }, r#"{"Resume":{"id":7}}"#),
        (Request::Online(false), r#"{"Online":false}"#),
        (Request::Retire, r#""Retire""#),
        (Request::LoseDevice, r#""LoseDevice""#),
        (
            Request::SelfTest { id: ID, settings },
            r#"{"SelfTest":{"id":7,"settings":{"version":1,"context":2048,"kv":"F32","prefill_chunk":64,"subgroups":true}}}"#,
        ),
        (
            Request::Benchmark { id: ID, settings },
            r#"{"Benchmark":{"id":7,"settings":{"version":1,"context":2048,"kv":"F32","prefill_chunk":64,"subgroups":true}}}"#,
        ),
        (
            Request::MeasureShape {
                id: ID,
                settings,
                job: ShapeJob {
                    shape: "2b-4t".into(),
                    prompts: vec![512],
                    contexts: vec![128, 512],
                    tokens: 64,
                    repetitions: 3,
                },
            },
            r#"{"MeasureShape":{"id":7,"settings":{"version":1,"context":2048,"kv":"F32","prefill_chunk":64,"subgroups":true},"job":{"shape":"2b-4t","prompts":[512],"contexts":[128,512],"tokens":64,"repetitions":3}}}"#,
        ),
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
            Request::LimitRate {
                tokens_per_second: 10,
            },
            r#"{"LimitRate":{"tokens_per_second":10}}"#,
        ),
        (
            Request::Judge {
                budget: Budget {
                    killed_bytes: ByteCount::new(5),
                    ..Budget::default()
                },
                settings: Settings::default(),
            },
            r#"{"Judge":{"budget":{"assumed_bytes":3000000000,"worked_bytes":0,"killed_bytes":5},"settings":{"version":1,"context":0,"kv":"F16","prefill_chunk":0,"subgroups":true}}}"#,
        ),
        (
            Request::DescribeDevice { id: ID },
            r#"{"DescribeDevice":{"id":7}}"#,
        ),
        (Request::Storage { id: ID }, r#"{"Storage":{"id":7}}"#),
        (
            Request::VerifyModel {
                id: ID,
                model_url: "https://host/models/m/".into(),
            },
            r#"{"VerifyModel":{"id":7,"model_url":"https://host/models/m/"}}"#,
        ),
        (
            Request::DescribeModel {
                id: ID,
                model_url: "https://host/models/m/".into(),
            },
            r#"{"DescribeModel":{"id":7,"model_url":"https://host/models/m/"}}"#,
        ),
        (
            Request::DeleteModel {
                id: ID,
                model_url: "https://host/models/m/".into(),
            },
            r#"{"DeleteModel":{"id":7,"model_url":"https://host/models/m/"}}"#,
        ),
        (
            Request::EraseModels { id: ID },
            r#"{"EraseModels":{"id":7}}"#,
        ),
    ];
    let names: BTreeSet<String> = cases
        .iter()
        .map(|(request, expected)| check(request, expected))
        .collect();
    assert_eq!(
        names.len(),
        26,
        "one case for each kind of request: {names:?}"
    );
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
