//! The pickle inside a PyTorch file, read without executing anything.
//!
//! A pickle is a program for a small stack machine that may call any function by name. Here it only builds values: the few
//! functions that a file of tensors needs are known by name and stand for what they would make, everything else is an error.
//! Values lie in one list and name each other by number, so that nothing here recurses, however deep a file nests.

mod machine;
mod opcode;
mod value;

use crate::error::shown;
use crate::{ContainerError, Error};

pub(crate) use value::PickledTensor;
use value::{Id, Node};

/// Keys under which training programs put the tensors.
const WRAPPERS: [&str; 3] = ["state_dict", "model", "module"];

/// The tensors of a pickle by name, in the order of the file.
///
/// # Errors
/// If it holds an opcode or a name that is not allowed, is damaged, too deep or too large, or is no dictionary of tensors.
pub(crate) fn read_tensors(
    file: &str,
    pickle: &[u8],
) -> Result<Vec<(String, PickledTensor)>, Error> {
    let (nodes, root) = machine::run(file, pickle)?;
    let items = |id: Id| match &nodes[id] {
        Node::Dict(items) => Some(items),
        _ => None,
    };
    let text = |id: Id| match &nodes[id] {
        Node::Text(text) => Some(text.as_str()),
        _ => None,
    };
    let not_tensors = || {
        Error::Container(ContainerError::Pickle {
            file: file.to_string(),
            at: pickle.len() as u64,
            expected: "a dictionary of tensors",
            got: "something else".to_string(),
        })
    };
    let mut dict = items(root).ok_or_else(not_tensors)?;
    let wrapped = dict.iter().find_map(|&(key, value)| {
        let is_wrapper = text(key).is_some_and(|key| WRAPPERS.contains(&key));
        items(value).filter(|_| is_wrapper)
    });
    if let Some(inner) = wrapped {
        dict = inner;
    }
    let mut tensors: Vec<(String, PickledTensor)> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for &(key, value) in dict {
        let (Some(name), Node::Tensor(tensor)) = (text(key), &nodes[value]) else {
            continue;
        };
        if !names.insert(name) {
            return Err(Error::Container(ContainerError::Pickle {
                file: file.to_string(),
                at: pickle.len() as u64,
                expected: "each tensor once",
                got: format!("{} twice", shown(name)),
            }));
        }
        tensors.push((name.to_string(), tensor.clone()));
    }
    if tensors.is_empty() {
        return Err(not_tensors());
    }
    Ok(tensors)
}

#[cfg(test)]
#[path = "pickle_tests.rs"]
mod tests;
