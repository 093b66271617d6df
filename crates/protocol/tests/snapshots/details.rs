//! What is told of a stored model.

use protocol::{
    Fault, FaultCode, HashOrigin, MemoryAt, ModelDetails, ModelShape, PackageFile, PartBytes,
    SourceFile, VerifyReport,
};

use crate::bytes;

pub(crate) fn details() -> ModelDetails {
    ModelDetails {
        model_url: "https://host/m/".into(),
        name: "Tern 135M".into(),
        license: Some("MIT".into()),
        kind: "huggingface-packed".into(),
        revision: Some("abc".into()),
        sources: vec![SourceFile {
            name: "model.safetensors".into(),
            bytes: bytes(4000),
            sha256: "0a".into(),
            origin: HashOrigin::Published,
        }],
        shape: ModelShape {
            family: "bitnet".into(),
            layers: 30,
            hidden: 576,
            ffn: 1536,
            heads: 9,
            kv_heads: 3,
            head_dim: 64,
            vocab: 49_152,
            context: 8192,
            tied: true,
        },
        parts: PartBytes {
            codes: bytes(1),
            tables: bytes(2),
            norms: bytes(3),
            tokenizer: bytes(4),
        },
        memory: vec![MemoryAt {
            context: 2048,
            weight_bytes: bytes(5),
            kv_bytes: bytes(6),
        }],
        files: vec![PackageFile {
            name: "00000.bin".into(),
            bytes: bytes(4000),
            sha256: "0b".into(),
            is_stored: true,
        }],
        complete: true,
    }
}

pub(crate) fn verified() -> VerifyReport {
    let report = VerifyReport {
        files: 7,
        bytes: bytes(4000),
        repaired: vec!["00001.bin".into()],
        broken: vec!["00002.bin".into()],
        fault: Some(Fault::new(FaultCode::FilesGone, "gone")),
    };
    assert!(!report.is_right());
    report
}
