//! Values that are mere names.

use protocol::{
    FaultCode, FetchTrouble, FinishReason, Fit, HashOrigin, KvType, LoadStage, Retry, Role,
};

use crate::check;

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
    for (stage, expected) in [
        (LoadStage::Download, "\"Download\""),
        (LoadStage::Verify, "\"Verify\""),
        (LoadStage::Upload, "\"Upload\""),
        (LoadStage::Prepare, "\"Prepare\""),
    ] {
        check(&stage, expected);
    }
    for (fit, expected) in [
        (Fit::Fits, r#""Fits""#),
        (
            Fit::TooLarge {
                detail: "no".into(),
            },
            r#"{"TooLarge":{"detail":"no"}}"#,
        ),
        (Fit::Unknown, r#""Unknown""#),
    ] {
        check(&fit, expected);
    }
    for (trouble, expected) in [
        (FetchTrouble::Connection, "\"Connection\""),
        (FetchTrouble::Stalled, "\"Stalled\""),
        (FetchTrouble::Busy, "\"Busy\""),
        (FetchTrouble::WebPage, "\"WebPage\""),
        (FetchTrouble::Wrong, "\"Wrong\""),
    ] {
        check(&trouble, expected);
    }
    for (origin, expected) in [
        (HashOrigin::Published, "\"Published\""),
        (HashOrigin::Computed, "\"Computed\""),
        (HashOrigin::Stated, "\"Stated\""),
    ] {
        check(&origin, expected);
    }
    for (kv, expected) in [
        (KvType::F32, "\"F32\""),
        (KvType::F16, "\"F16\""),
        (KvType::I8, "\"I8\""),
    ] {
        check(&kv, expected);
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
            r#""VersionMismatch" "BadAddress" "HostNotAllowed" "HostBlocked" "Unsupported" "BadRequest" "NoWebGpu" "NoAdapter" "LimitsTooSmall" "DeviceLost" "OutOfMemory" "Gpu" "WrongNumbers" "#,
            r#""Network" "NotFound" "Refused" "Busy" "WebPage" "BadModel" "BadFiles" "FilesGone" "Corrupt" "NoChat" "Text" "PromptTooLong" "Trap" "Silent" "StorageFull" "Storage" "Killed""#
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
