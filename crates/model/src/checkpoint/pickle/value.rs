//! The values that a pickle may build.

use crate::checkpoint::stored::Dtype;

/// Number of a value.
pub(super) type Id = usize;

/// A value.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool,
    Int(i64),
    Float,
    Text(String),
    Tuple(Vec<Id>),
    /// Lists occur in metadata only; what is in them is never looked at.
    List,
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(PickledTensor),
}

impl Node {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Node::None => "None",
            Node::Bool => "a boolean",
            Node::Int(_) => "a whole number",
            Node::Float => "a float",
            Node::Text(_) => "a string",
            Node::Tuple(_) => "a tuple",
            Node::List => "a list",
            Node::Dict(_) => "a dictionary",
            Node::Global(_) => "a function",
            Node::Storage(_) => "a storage",
            Node::Tensor(_) => "a tensor",
        }
    }
}

/// A name that a pickle may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

impl Global {
    /// The only names that are known.
    pub(super) fn find(module: &str, name: &str) -> Option<Global> {
        let storage = |dtype| Some(Global::Storage(dtype));
        match (module, name) {
            ("collections", "OrderedDict") => Some(Global::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
            ("torch", "FloatStorage") => storage(Dtype::F32),
            ("torch", "HalfStorage") => storage(Dtype::F16),
            ("torch", "BFloat16Storage") => storage(Dtype::Bf16),
            ("torch", "ByteStorage") => storage(Dtype::U8),
            ("torch", "CharStorage") => storage(Dtype::I8),
            ("torch", "DoubleStorage") => storage(Dtype::Other("F64", 64)),
            ("torch", "ShortStorage") => storage(Dtype::Other("I16", 16)),
            ("torch", "IntStorage") => storage(Dtype::Other("I32", 32)),
            ("torch", "LongStorage") => storage(Dtype::Other("I64", 64)),
            ("torch", "BoolStorage") => storage(Dtype::Other("BOOL", 8)),
            _ => None,
        }
    }
}

/// A file of the archive with values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Storage {
    pub(crate) dtype: Dtype,
    /// Name below `data/`.
    pub(crate) key: String,
    pub(crate) n_elements: u64,
}

/// A view of a storage. Offset and strides count elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PickledTensor {
    pub(crate) storage: Storage,
    pub(crate) offset: u64,
    pub(crate) shape: Vec<u64>,
    pub(crate) strides: Vec<u64>,
}
