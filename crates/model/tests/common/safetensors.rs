//! Safetensors files that tests take apart and put together.

use half::{bf16, f16};
use serde_json::json;

/// A file.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) tensors: Vec<Tensor>,
}

/// A tensor of a file.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) bytes: Vec<u8>,
}

impl File {
    pub(crate) fn parse(file: &[u8]) -> File {
        let n = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let header: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&file[8..8 + n]).unwrap();
        let tensors = header
            .into_iter()
            .filter(|(name, _)| name != "__metadata__")
            .map(|(name, entry)| {
                let [begin, end] =
                    [0, 1].map(|i| 8 + n + entry["data_offsets"][i].as_u64().unwrap() as usize);
                Tensor {
                    name,
                    dtype: entry["dtype"].as_str().unwrap().to_string(),
                    shape: serde_json::from_value(entry["shape"].clone()).unwrap(),
                    bytes: file[begin..end].to_vec(),
                }
            });
        File {
            tensors: tensors.collect(),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for tensor in &self.tensors {
            let begin = data.len();
            data.extend_from_slice(&tensor.bytes);
            header.insert(
                tensor.name.clone(),
                json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, data.len()]}),
            );
        }
        let header = serde_json::to_vec(&header).unwrap();
        [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
    }
}

impl Tensor {
    /// The values of a float tensor.
    pub(crate) fn values(&self) -> Vec<f32> {
        let pairs = || self.bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
        match self.dtype.as_str() {
            "F16" => pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect(),
            "BF16" => pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
            "F32" => self
                .bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect(),
            other => panic!("{} is {other}", self.name),
        }
    }

    /// Replaces the values, each by the bytes that `bytes` makes of it.
    pub(crate) fn store(&mut self, dtype: &str, bytes: impl Fn(f32) -> Vec<u8>) {
        self.bytes = self.values().into_iter().flat_map(bytes).collect();
        self.dtype = dtype.to_string();
    }
}
