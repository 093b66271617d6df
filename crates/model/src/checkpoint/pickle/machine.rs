//! The stack machine.

use std::collections::HashMap;

use super::opcode;
use super::value::{Global, Id, Node, PickledTensor, Storage};
use crate::error::shown;
use crate::{ContainerError, Error};

/// Most values, so that a small file cannot take much memory.
const MAX_NODES: usize = 1 << 20;
/// Deepest nesting of tuples.
const MAX_DEPTH: u32 = 64;
/// Most dimensions of a tensor.
const MAX_DIMENSIONS: usize = 8;
/// Longest name of a storage: it is copied for each tensor.
const MAX_KEY_BYTES: usize = 64;
/// Newest protocol whose header is accepted; its own opcodes are not.
const MAX_PROTOCOL: u8 = 5;

/// Runs a pickle. Returns all values and the number of the last one.
pub(super) fn run(file: &str, pickle: &[u8]) -> Result<(Vec<Node>, Id), Error> {
    let mut machine = Machine {
        file,
        pickle,
        at: 0,
        nodes: Vec::new(),
        depths: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let opcode = machine.byte()?;
        if opcode == b'.' {
            let root = machine.pop()?;
            return Ok((machine.nodes, root));
        }
        machine.step(opcode)?;
    }
}

struct Machine<'a> {
    file: &'a str,
    pickle: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    /// Nesting of each value.
    depths: Vec<u32>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn wrong(&self, expected: &'static str, got: impl Into<String>) -> Error {
        Error::Container(ContainerError::Pickle {
            file: self.file.to_string(),
            at: self.at as u64,
            expected,
            got: got.into(),
        })
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let end = self
            .at
            .checked_add(n)
            .filter(|&end| end <= self.pickle.len());
        let Some(end) = end else {
            return Err(self.wrong("more bytes", "the end of the pickle"));
        };
        let bytes = &self.pickle[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, Error> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A line of text without its end.
    fn line(&mut self) -> Result<&'a str, Error> {
        let rest = &self.pickle[self.at..];
        let n = rest.iter().position(|&byte| byte == b'\n');
        let n = n.ok_or_else(|| self.wrong("the end of a line", "the end of the pickle"))?;
        let line = self.take(n + 1)?;
        self.utf8(&line[..n])
    }

    fn utf8(&self, bytes: &'a [u8]) -> Result<&'a str, Error> {
        std::str::from_utf8(bytes).map_err(|_| self.wrong("UTF-8", "other bytes"))
    }

    fn push(&mut self, node: Node) -> Result<(), Error> {
        self.push_nested(node, 0)
    }

    fn push_nested(&mut self, node: Node, depth: u32) -> Result<(), Error> {
        if self.nodes.len() >= MAX_NODES {
            return Err(self.wrong("at most 1048576 values (limit)", "more"));
        }
        if depth > MAX_DEPTH {
            return Err(self.wrong("tuples nested at most 64 deep (limit)", "deeper nesting"));
        }
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        self.depths.push(depth);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, Error> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.wrong("a value on the stack", "none"));
        }
        Ok(self.stack.pop().unwrap_or_default())
    }

    fn top(&self) -> Result<Id, Error> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| self.wrong("a value on the stack", "none"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Error> {
        let mark = self.marks.pop();
        let mark = mark.ok_or_else(|| self.wrong("a mark on the stack", "none"))?;
        Ok(self.stack.split_off(mark))
    }

    fn step(&mut self, opcode: u8) -> Result<(), Error> {
        match opcode {
            0x80 => self.protocol(),
            b'}' => self.push(Node::Dict(Vec::new())),
            b']' => self.push(Node::List),
            b')' => self.push(Node::Tuple(Vec::new())),
            b'N' => self.push(Node::None),
            0x88 | 0x89 => self.push(Node::Bool),
            b'K' | b'M' | b'J' | 0x8a => self.integer(opcode),
            b'G' => {
                self.take(8)?;
                self.push(Node::Float)
            }
            b'X' => {
                let n = self.u32()? as usize;
                let bytes = self.take(n)?;
                let text = self.utf8(bytes)?.to_string();
                self.push(Node::Text(text))
            }
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.tuple(items)
            }
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0..opcode - 0x84 {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.tuple(items)
            }
            b's' | b'u' | b'a' | b'e' => self.fill(opcode),
            b'q' | b'r' | b'h' | b'j' => self.remember(opcode),
            b'c' => self.global(),
            b'Q' => self.storage(),
            b'R' => self.reduce(),
            b'b' => self.build(),
            other => Err(Error::Container(ContainerError::PickleOpcode {
                file: self.file.to_string(),
                at: self.at as u64 - 1,
                opcode: other,
                name: opcode::name(other),
            })),
        }
    }

    fn protocol(&mut self) -> Result<(), Error> {
        match self.byte()? {
            0..=MAX_PROTOCOL => Ok(()),
            other => Err(self.wrong("a pickle protocol up to 5", other.to_string())),
        }
    }

    fn integer(&mut self, opcode: u8) -> Result<(), Error> {
        let n_bytes = match opcode {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            _ => usize::from(self.byte()?),
        };
        if n_bytes > 8 {
            return Err(self.wrong("a number of at most 8 bytes", format!("{n_bytes} bytes")));
        }
        let bytes = self.take(n_bytes)?;
        // The short forms are unsigned, the others signed.
        let is_negative =
            matches!(opcode, b'J' | 0x8a) && bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if is_negative { 0xff } else { 0 }; 8];
        wide[..n_bytes].copy_from_slice(bytes);
        self.push(Node::Int(i64::from_le_bytes(wide)))
    }

    fn tuple(&mut self, items: Vec<Id>) -> Result<(), Error> {
        let deepest = items.iter().map(|&id| self.depths[id]).max().unwrap_or(0);
        self.push_nested(Node::Tuple(items), deepest + 1)
    }

    /// SETITEM, SETITEMS, APPEND, APPENDS.
    fn fill(&mut self, opcode: u8) -> Result<(), Error> {
        let items = match opcode {
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            b'a' => vec![self.pop()?],
            _ => self.pop_to_mark()?,
        };
        let target = self.top()?;
        let is_pairs = matches!(opcode, b's' | b'u');
        match &mut self.nodes[target] {
            Node::Dict(dict) if is_pairs && items.len().is_multiple_of(2) => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
                Ok(())
            }
            Node::List if !is_pairs => Ok(()),
            other => {
                let got = other.kind();
                Err(self.wrong("a dictionary of pairs or a list to fill", got))
            }
        }
    }

    /// BINPUT, LONG_BINPUT, BINGET, LONG_BINGET.
    fn remember(&mut self, opcode: u8) -> Result<(), Error> {
        let slot = match opcode {
            b'q' | b'h' => u32::from(self.byte()?),
            _ => self.u32()?,
        };
        if matches!(opcode, b'q' | b'r') {
            self.memo.insert(slot, self.top()?);
            return Ok(());
        }
        match self.memo.get(&slot) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => Err(self.wrong("a value that was remembered", format!("number {slot}"))),
        }
    }

    fn global(&mut self) -> Result<(), Error> {
        let (module, name) = (self.line()?, self.line()?);
        match Global::find(module, name) {
            Some(global) => self.push(Node::Global(global)),
            None => Err(Error::Container(ContainerError::PickleGlobal {
                file: self.file.to_string(),
                name: shown(&format!("{module}.{name}")),
            })),
        }
    }

    fn int(&self, id: Id) -> Result<u64, Error> {
        match self.nodes[id] {
            Node::Int(value) if value >= 0 => Ok(value as u64),
            Node::Int(value) => Err(self.wrong("a number of 0 or more", value.to_string())),
            ref other => Err(self.wrong("a whole number", other.kind())),
        }
    }

    fn ints(&self, id: Id) -> Result<Vec<u64>, Error> {
        match &self.nodes[id] {
            Node::Tuple(items) if items.len() <= MAX_DIMENSIONS => {
                items.iter().map(|&item| self.int(item)).collect()
            }
            Node::Tuple(_) => Err(self.wrong("at most 8 dimensions", "more")),
            other => Err(self.wrong("a tuple of numbers", other.kind())),
        }
    }

    /// BINPERSID: the only external values are storages.
    fn storage(&mut self) -> Result<(), Error> {
        let expected = "('storage', type, key, location, number of elements)";
        let id = self.pop()?;
        let Node::Tuple(items) = &self.nodes[id] else {
            return Err(self.wrong(expected, self.nodes[id].kind()));
        };
        let &[tag, kind, key, _, n_elements] = &items[..] else {
            return Err(self.wrong(expected, format!("{} items", items.len())));
        };
        match (&self.nodes[tag], &self.nodes[kind], &self.nodes[key]) {
            (Node::Text(tag), Node::Global(Global::Storage(dtype)), Node::Text(key))
                if tag == "storage" =>
            {
                if key.len() > MAX_KEY_BYTES {
                    return Err(self.wrong("a key of at most 64 bytes (limit)", "a longer one"));
                }
                let storage = Storage {
                    dtype: *dtype,
                    key: key.clone(),
                    n_elements: self.int(n_elements)?,
                };
                self.push(Node::Storage(storage))
            }
            _ => Err(self.wrong(expected, "other items")),
        }
    }

    /// REDUCE: calls of the known names.
    fn reduce(&mut self) -> Result<(), Error> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Node::Global(global), Node::Tuple(arguments)) =
            (&self.nodes[function], &self.nodes[arguments])
        else {
            let got = self.nodes[function].kind();
            return Err(self.wrong("a known function and a tuple of arguments", got));
        };
        let made = match (global, &arguments[..]) {
            (Global::OrderedDict, []) => Node::Dict(Vec::new()),
            (Global::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                self.tensor(storage, offset, shape, strides)?
            }
            (Global::RebuildParameter, &[tensor, ..]) => match &self.nodes[tensor] {
                Node::Tensor(tensor) => Node::Tensor(tensor.clone()),
                other => return Err(self.wrong("a tensor", other.kind())),
            },
            (_, arguments) => {
                let got = format!("{} arguments", arguments.len());
                return Err(self.wrong("the arguments of a known function", got));
            }
        };
        self.push(made)
    }

    fn tensor(&self, storage: Id, offset: Id, shape: Id, strides: Id) -> Result<Node, Error> {
        let Node::Storage(storage) = &self.nodes[storage] else {
            return Err(self.wrong("a storage", self.nodes[storage].kind()));
        };
        let tensor = PickledTensor {
            storage: storage.clone(),
            offset: self.int(offset)?,
            shape: self.ints(shape)?,
            strides: self.ints(strides)?,
        };
        if tensor.shape.len() != tensor.strides.len() {
            return Err(self.wrong("a stride for each dimension", "another number of them"));
        }
        Ok(Node::Tensor(tensor))
    }

    /// BUILD: the attributes of a dictionary (`_metadata`), which nobody needs.
    fn build(&mut self) -> Result<(), Error> {
        self.pop()?;
        let target = self.top()?;
        match &self.nodes[target] {
            Node::Dict(_) => Ok(()),
            other => Err(self.wrong("a dictionary to give attributes to", other.kind())),
        }
    }
}
