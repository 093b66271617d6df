//! GGUF files that tests take apart and put together.

/// A file: metadata as raw pairs, tensors with their bytes.
#[derive(Clone)]
pub(crate) struct File {
    /// Key, type, bytes of the value.
    pub(crate) pairs: Vec<(String, u32, Vec<u8>)>,
    pub(crate) tensors: Vec<Tensor>,
}

/// A tensor of a file. The shape is innermost first, as the file has it.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) kind: u32,
    pub(crate) bytes: Vec<u8>,
}

struct Reader<'a>(&'a [u8], usize);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        self.1 += n;
        &self.0[self.1 - n..self.1]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let n = self.u64() as usize;
        String::from_utf8(self.take(n).to_vec()).unwrap()
    }

    fn skip(&mut self, kind: u32) {
        match kind {
            0 | 1 | 7 => drop(self.take(1)),
            2 | 3 => drop(self.take(2)),
            4..=6 => drop(self.take(4)),
            10..=12 => drop(self.take(8)),
            8 => drop(self.text()),
            9 => {
                let (kind, n) = (self.u32(), self.u64());
                (0..n).for_each(|_| self.skip(kind));
            }
            other => panic!("type {other}"),
        }
    }
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl File {
    pub(crate) fn parse(file: &[u8]) -> File {
        let mut reader = Reader(file, 8);
        let (n_tensors, n_pairs) = (reader.u64(), reader.u64());
        let pairs = (0..n_pairs)
            .map(|_| {
                let (key, kind) = (reader.text(), reader.u32());
                let start = reader.1;
                reader.skip(kind);
                (key, kind, file[start..reader.1].to_vec())
            })
            .collect();
        let infos: Vec<_> = (0..n_tensors)
            .map(|_| {
                let (name, n) = (reader.text(), reader.u32());
                let shape: Vec<u64> = (0..n).map(|_| reader.u64()).collect();
                (name, shape, reader.u32(), reader.u64() as usize)
            })
            .collect();
        let data = &file[reader.1.next_multiple_of(32)..];
        let ends: Vec<usize> = infos
            .iter()
            .map(|info| info.3)
            .chain([data.len()])
            .collect();
        let tensor = |(name, shape, kind, offset): (String, Vec<u64>, u32, usize)| {
            let end = ends
                .iter()
                .copied()
                .filter(|&end| end > offset)
                .min()
                .unwrap();
            let bytes = data[offset..end].to_vec();
            Tensor {
                name,
                shape,
                kind,
                bytes,
            }
        };
        File {
            pairs,
            tensors: infos.into_iter().map(tensor).collect(),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [
            &b"GGUF\x03\0\0\0"[..],
            &(self.tensors.len() as u64).to_le_bytes(),
        ]
        .concat();
        bytes.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.pairs {
            bytes.extend([text(key), kind.to_le_bytes().to_vec(), value.clone()].concat());
        }
        let mut data = Vec::new();
        for tensor in &self.tensors {
            bytes.extend(text(&tensor.name));
            bytes.extend((tensor.shape.len() as u32).to_le_bytes());
            tensor
                .shape
                .iter()
                .for_each(|n| bytes.extend(n.to_le_bytes()));
            bytes.extend(tensor.kind.to_le_bytes());
            bytes.extend((data.len() as u64).to_le_bytes());
            data.extend_from_slice(&tensor.bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(data);
        bytes
    }

    /// Sets a key, `None` removes it.
    pub(crate) fn set(&mut self, key: &str, value: Option<(u32, Vec<u8>)>) {
        self.pairs.retain(|pair| pair.0 != key);
        if let Some((kind, bytes)) = value {
            self.pairs.push((key.to_string(), kind, bytes));
        }
    }

    /// Renames the architecture, and its keys with it.
    pub(crate) fn rename(&mut self, name: &str) {
        let old = self
            .pairs
            .iter()
            .find(|pair| pair.0 == "general.architecture")
            .unwrap();
        let old = format!("{}.", String::from_utf8(old.2[8..].to_vec()).unwrap());
        for pair in &mut self.pairs {
            if let Some(rest) = pair.0.strip_prefix(&old) {
                pair.0 = format!("{name}.{rest}");
            }
        }
        self.set("general.architecture", Some((8, text(name))));
    }

    pub(crate) fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors
            .iter_mut()
            .find(|tensor| tensor.name == name)
            .unwrap()
    }
}
