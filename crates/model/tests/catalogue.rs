//! The numbers of the app's list of known models are those of their published shapes.
#![allow(clippy::unwrap_used, reason = "tests")]

use model::architecture::{Role, gpu_tensor_bytes};
use model::convert::ConvertOptions;
use model::hub::Place;
use model::{Activation, Architecture, Encoding, Scale};
use serde_json::Value;

const LIST: &str = include_str!("../../../app/models.json");
/// Bytes of a multiplier beside each packed matrix.
const SCALE_BYTES: u64 = 2;

/// The shape that an entry states. What memory does not depend on is made up.
fn architecture(entry: &Value) -> Architecture {
    let shape = &entry["shape"];
    let number = |field: &str| u32::try_from(shape[field].as_u64().unwrap()).unwrap();
    let architecture = Architecture {
        family: "known".into(),
        hidden: number("hidden"),
        ffn: number("ffn"),
        layers: number("layers"),
        heads: number("heads"),
        kv_heads: number("kv_heads"),
        head_dim: number("head_dim"),
        vocab: number("vocab"),
        context: entry["context"].as_u64().unwrap_or(4096) as u32,
        rms_eps: 1e-5,
        rope_theta: 10_000.0,
        activation: Activation::Silu,
        sub_norms: shape["sub_norms"].as_bool().unwrap(),
        tied: shape["tied"].as_bool().unwrap(),
    };
    architecture.validate("").unwrap();
    architecture
}

/// What it takes on a GPU as `tern convert` makes it.
fn weight_bytes(architecture: &Architecture) -> u64 {
    let rows_per_tile = ConvertOptions::new("").rows_per_tile;
    let encoding = |role: Role| match role {
        Role::Projection => Encoding::Ternary {
            scale: Scale::Tensor { value: 1.0 },
        },
        Role::Norm => Encoding::F32,
        Role::Rows => Encoding::Q8,
    };
    let tensors = architecture.tensors();
    let bytes = tensors
        .iter()
        .map(|tensor| gpu_tensor_bytes(&encoding(tensor.role), tensor.shape, rows_per_tile));
    bytes.sum()
}

/// Packed safetensors: four codes a byte, everything else in 16 bits.
fn packed_bytes(architecture: &Architecture) -> u64 {
    let tensors = architecture.tensors();
    let bytes = tensors.iter().map(|tensor| {
        let [rows, columns] = tensor.shape.map(u64::from);
        match tensor.role {
            Role::Projection => rows.div_ceil(4) * columns + SCALE_BYTES,
            Role::Norm | Role::Rows => 2 * rows * columns,
        }
    });
    bytes.sum()
}

#[test]
fn memory_and_download_follow_from_the_shape() {
    let list: Vec<Value> = serde_json::from_str(LIST).unwrap();
    assert!(!list.is_empty());
    let mut n_downloads = 0;
    for entry in &list {
        let name = &entry["name"];
        let architecture = architecture(entry);
        let stated = |field: &str| entry[field].as_u64();
        assert_eq!(
            stated("weight_bytes"),
            Some(weight_bytes(&architecture)),
            "{name}"
        );
        assert_eq!(
            stated("kv_bytes_per_token"),
            Some(architecture.kv_bytes_f16(1)),
            "{name}"
        );
        if let Some(bytes) = stated("download_bytes") {
            assert_eq!(bytes, packed_bytes(&architecture), "{name}");
            n_downloads += 1;
        }
    }
    assert!(n_downloads >= 5);
}

#[test]
fn addresses_are_spelled_as_the_store_knows_them() {
    let list: Vec<Value> = serde_json::from_str(LIST).unwrap();
    for entry in &list {
        let address = entry["address"].as_str().unwrap();
        let place = Place::parse(address).unwrap();
        assert!(place.is_foreign(), "{address}");
        // As app/src/catalogue.rs makes it.
        let key = format!("https://huggingface.co/{address}/tree/main");
        assert_eq!(place.key(), key);
    }
}
