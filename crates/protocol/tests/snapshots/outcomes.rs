//! What comes of requests.

use std::collections::BTreeSet;

use protocol::{
    AdapterInfo, BenchmarkReport, CompileReport, CompileResult, DeviceReport, DroppedVariant,
    EqualityReport, EqualityResult, FinishReason, Fit, KvNeed, KvType, Limit, LoadTimes, ModelInfo,
    ModelOffer, Outcome, Precision, PrecisionOffer, SamplingSettings, SelfTestReport, ShapeReport,
    ShapeTime, StorageReport, StorageState, StoredModel, Usage,
};

use crate::details::{details, verified};
use crate::{bytes, check};

fn offer() -> ModelOffer {
    ModelOffer {
        model_url: "https://host/m/".into(),
        name: "Tern 135M".into(),
        license: Some("MIT".into()),
        download_bytes: bytes(4000),
        stored_bytes: bytes(1000),
        complete: false,
        max_context: 2048,
        weight_bytes: bytes(1),
        context: 1024,
        kv_bytes: bytes(2),
        kv_at: vec![KvNeed {
            context: 2048,
            bytes: bytes(4),
        }],
        other_bytes: bytes(3),
        fit: Fit::FitsWithContext(1024),
        missing_bytes: bytes(5),
        precisions: vec![PrecisionOffer {
            precision: Precision::Q6,
            model_url: "https://host/m.gguf#embed=q6".into(),
            weight_bytes: bytes(6),
        }],
        storage: StorageState::Durable,
    }
}

fn storage_report() -> StorageReport {
    StorageReport {
        models: vec![StoredModel {
            model_url: "https://host/m/".into(),
            name: "Tern 135M".into(),
            stored_bytes: bytes(1000),
            total_bytes: bytes(4000),
            shards: 3,
            complete: false,
        }],
        usage_bytes: Some(bytes(1234)),
        quota_bytes: None,
        state: StorageState::Unavailable {
            detail: "private mode".into(),
        },
    }
}

#[test]
fn outcomes() {
    let info = ModelInfo {
        name: "Tern 135M".into(),
        license: None,
        context: 2048,
        continues_text: false,
        sampling: Some(SamplingSettings::default()),
        weight_bytes: bytes(1),
        kv_bytes: bytes(2),
        activation_bytes: bytes(3),
        load_millis: 12.5,
        times: LoadTimes {
            device_millis: 1.0,
            read_millis: 2.0,
            upload_millis: 3.0,
            prepare_millis: 4.0,
        },
        self_test: SelfTestReport {
            variant: "scalar-shared".into(),
            kv: KvType::F16,
            millis: 5.0,
            dropped: vec![DroppedVariant {
                variant: "packed-shared f16".into(),
                problem: "decode: logit 3".into(),
            }],
            inexact: None,
        },
        cached: true,
    };
    let usage = Usage {
        prompt_tokens: 35,
        answer_tokens: 7,
        first_token_millis: 80.5,
        tokens_per_second: 20.25,
        context_tokens: 42,
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
    let self_test = info.self_test.clone();
    let measured = BenchmarkReport {
        model: "Tern 135M".into(),
        is_made_up: false,
        weight_bytes: bytes(1),
        prefill_tokens: 512,
        prefill_millis: 2000.0,
        decode_tokens: 60,
        decode_millis: 3000.0,
    };
    assert_eq!(
        (measured.prefill_speed(), measured.decode_speed()),
        (256.0, 20.0)
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
        adapter_limits: vec![Limit {
            name: "maxBufferSize".into(),
            value: 8_589_934_592.0,
        }],
        limits: vec![Limit {
            name: "maxBufferSize".into(),
            value: 4_294_967_296.0,
        }],
        engine: "WebGPU".into(),
        variant: "packed-subgroup-f16".into(),
        is_tuned: true,
        generation: 1,
    };
    let cases = [
        (
            Outcome::Loaded(info),
            r#"{"Loaded":{"name":"Tern 135M","license":null,"context":2048,"continues_text":false,"sampling":{"temperature":0.0,"top_k":0,"top_p":1.0,"min_p":0.0,"repetition_penalty":1.0,"repetition_window":64,"seed":0},"weight_bytes":1,"kv_bytes":2,"activation_bytes":3,"load_millis":12.5,"times":{"device_millis":1.0,"read_millis":2.0,"upload_millis":3.0,"prepare_millis":4.0},"self_test":{"variant":"scalar-shared","kv":"F16","millis":5.0,"dropped":[{"variant":"packed-shared f16","problem":"decode: logit 3"}],"inexact":null},"cached":true}}"#,
        ),
        (
            Outcome::Answered {
                reason: FinishReason::Stop,
                usage,
            },
            r#"{"Answered":{"reason":"Stop","usage":{"prompt_tokens":35,"answer_tokens":7,"first_token_millis":80.5,"tokens_per_second":20.25,"context_tokens":42}}}"#,
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
            r#"{"Described":{"adapter":{"vendor":"mesa","architecture":"","device":"","description":"","is_fallback":true},"adapter_features":["shader-f16","subgroups"],"device_features":["subgroups"],"language_features":["packed_4x8_integer_dot_product"],"adapter_limits":[{"name":"maxBufferSize","value":8589934592.0}],"limits":[{"name":"maxBufferSize","value":4294967296.0}],"engine":"WebGPU","variant":"packed-subgroup-f16","is_tuned":true,"generation":1}}"#,
        ),
        (
            Outcome::Tested(self_test),
            r#"{"Tested":{"variant":"scalar-shared","kv":"F16","millis":5.0,"dropped":[{"variant":"packed-shared f16","problem":"decode: logit 3"}],"inexact":null}}"#,
        ),
        (
            Outcome::Measured(measured),
            r#"{"Measured":{"model":"Tern 135M","is_made_up":false,"weight_bytes":1,"prefill_tokens":512,"prefill_millis":2000.0,"decode_tokens":60,"decode_millis":3000.0}}"#,
        ),
        (
            Outcome::ShapeMeasured(ShapeReport {
                shape: "2b-4t".into(),
                weight_bytes: bytes(1),
                kv_bytes: bytes(2),
                activation_bytes: bytes(3),
                load_millis: 900.0,
                prefill: vec![ShapeTime {
                    context: 0,
                    tokens: 512,
                    millis: vec![70.5],
                }],
                decode: vec![],
            }),
            r#"{"ShapeMeasured":{"shape":"2b-4t","weight_bytes":1,"kv_bytes":2,"activation_bytes":3,"load_millis":900.0,"prefill":[{"context":0,"tokens":512,"millis":[70.5]}],"decode":[]}}"#,
        ),
        (
            Outcome::Inspected(offer()),
            r##"{"Inspected":{"model_url":"https://host/m/","name":"Tern 135M","license":"MIT","download_bytes":4000,"stored_bytes":1000,"complete":false,"max_context":2048,"weight_bytes":1,"context":1024,"kv_bytes":2,"kv_at":[{"context":2048,"bytes":4}],"other_bytes":3,"fit":{"FitsWithContext":1024},"missing_bytes":5,"precisions":[{"precision":"Q6","model_url":"https://host/m.gguf#embed=q6","weight_bytes":6}],"storage":"Durable"}}"##,
        ),
        (
            Outcome::Saved {
                name: "Tern-135M.tern.tar".into(),
                bytes: bytes(4096),
            },
            r#"{"Saved":{"name":"Tern-135M.tern.tar","bytes":4096}}"#,
        ),
        (
            Outcome::Storage(storage_report()),
            r#"{"Storage":{"models":[{"model_url":"https://host/m/","name":"Tern 135M","stored_bytes":1000,"total_bytes":4000,"shards":3,"complete":false}],"usage_bytes":1234,"quota_bytes":null,"state":{"Unavailable":{"detail":"private mode"}}}}"#,
        ),
        (
            Outcome::Downloaded {
                model_url: "https://host/m/".into(),
            },
            r#"{"Downloaded":{"model_url":"https://host/m/"}}"#,
        ),
        (
            Outcome::Verified(verified()),
            r#"{"Verified":{"files":7,"bytes":4000,"repaired":["00001.bin"],"broken":["00002.bin"],"fault":{"code":"FilesGone","detail":"gone","retry":"Reload"}}}"#,
        ),
        (
            Outcome::ModelDescribed(details()),
            r#"{"ModelDescribed":{"model_url":"https://host/m/","name":"Tern 135M","license":"MIT","kind":"huggingface-packed","revision":"abc","sources":[{"name":"model.safetensors","bytes":4000,"sha256":"0a","origin":"Published"}],"shape":{"family":"bitnet","layers":30,"hidden":576,"ffn":1536,"heads":9,"kv_heads":3,"head_dim":64,"vocab":49152,"context":8192,"tied":true},"parts":{"codes":1,"tables":2,"norms":3,"tokenizer":4},"memory":[{"context":2048,"weight_bytes":5,"kv_bytes":6}],"files":[{"name":"00000.bin","bytes":4000,"sha256":"0b","is_stored":true}],"complete":true}}"#,
        ),
        (
            Outcome::Deleted { bytes: bytes(1000) },
            r#"{"Deleted":{"bytes":1000}}"#,
        ),
    ];
    let names: BTreeSet<String> = cases
        .iter()
        .map(|(outcome, expected)| check(outcome, expected))
        .collect();
    assert_eq!(
        names.len(),
        16,
        "one case for each kind of outcome: {names:?}"
    );
}
