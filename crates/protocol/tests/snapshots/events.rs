//! What the worker sends.

use std::collections::BTreeSet;

use protocol::{
    BenchmarkStep, Event, Fault, FaultCode, FetchTrouble, Hello, LoadProgress, LoadStage, Outcome,
    Retry, Status,
};

use crate::{ID, bytes, check};

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
        (Event::Retired, r#""Retired""#),
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
                    stage: LoadStage::Download,
                    shards_done: 1,
                    shards_total: 4,
                    bytes_done: bytes(8_388_608),
                    bytes_total: bytes(33_000_000),
                    fetched_bytes: bytes(4096),
                },
            },
            r#"{"Loading":{"id":7,"progress":{"stage":"Download","shards_done":1,"shards_total":4,"bytes_done":8388608,"bytes_total":33000000,"fetched_bytes":4096}}}"#,
        ),
        (
            Event::Trimmed {
                id: ID,
                messages: 4,
            },
            r#"{"Trimmed":{"id":7,"messages":4}}"#,
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
            Event::Slowdown {
                id: ID,
                is_slow: true,
                percent: 43,
            },
            r#"{"Slowdown":{"id":7,"is_slow":true,"percent":43}}"#,
        ),
        (
            Event::Measuring {
                id: ID,
                step: BenchmarkStep::Decode,
                done: 3,
                total: 128,
            },
            r#"{"Measuring":{"id":7,"step":"Decode","done":3,"total":128}}"#,
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
                    missing_bytes: None,
                    host: None,
                },
            },
            r#"{"Failed":{"id":7,"fault":{"code":"Corrupt","detail":"shard 2","retry":"Again"}}}"#,
        ),
    ];
    let names: BTreeSet<String> = cases
        .iter()
        .map(|(event, expected)| check(event, expected))
        .collect();
    assert_eq!(
        names.len(),
        13,
        "one case for each kind of event: {names:?}"
    );
    let terminal: Vec<_> = cases
        .iter()
        .filter(|(event, _)| event.is_terminal())
        .map(|(event, _)| event.id())
        .collect();
    assert_eq!(terminal, [Some(ID), Some(ID)]);
}

#[test]
fn a_fault_may_say_how_much_room_is_missing() {
    check(
        &Fault {
            missing_bytes: Some(bytes(17)),
            ..Fault::new(FaultCode::StorageFull, "no room")
        },
        r#"{"code":"StorageFull","detail":"no room","retry":"Again","missing_bytes":17}"#,
    );
}

#[test]
fn a_fault_may_name_the_host_that_would_have_to_be_allowed() {
    check(
        &Fault {
            host: Some("https://example.org".into()),
            ..Fault::new(FaultCode::HostNotAllowed, "not allowed")
        },
        r#"{"code":"HostNotAllowed","detail":"not allowed","retry":"Again","host":"https://example.org"}"#,
    );
}

#[test]
fn statuses() {
    check(
        &Status::FetchRetry {
            file: "00003.bin".into(),
            attempt: 2,
            trouble: FetchTrouble::Busy,
            wait_millis: 500,
        },
        r#"{"FetchRetry":{"file":"00003.bin","attempt":2,"trouble":"Busy","wait_millis":500}}"#,
    );
    check(&Status::DownloadPaused, r#""DownloadPaused""#);
    check(&Status::DownloadResumed, r#""DownloadResumed""#);
    check(
        &Status::Tuned {
            detail: "packed-shared".into(),
        },
        r#"{"Tuned":{"detail":"packed-shared"}}"#,
    );
}
