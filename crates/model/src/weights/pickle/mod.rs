//! Just enough of pickle to read what `torch.save` writes of a state dict, and nothing that runs.
//!
//! A pickle is a program for a small stack machine, which may call any Python function. This reader knows the handful
//! of names that tensors are made of, turns those into plain values, and refuses a file at the first other name.

mod machine;

use std::rc::Rc;

use machine::Machine;

/// A value on the machine's stack. Containers are places in the [`Pickle`] that holds them all: however deep a
/// malicious file nests them, nothing here recurses.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// None, a truth value, a float: nothing that a tensor's place depends on.
    Other,
    Int(i64),
    Text(Rc<str>),
    Tuple(usize),
    List(usize),
    Dict(usize),
    /// One of the permitted names.
    Name(Rc<str>),
    Storage(Rc<Storage>),
    Tensor(Rc<TensorAt>),
}

/// Numbers kept in one record of the archive.
#[derive(Debug)]
pub(super) struct Storage {
    /// torch's class, such as `torch.BFloat16Storage`.
    pub class: Rc<str>,
    /// The record's name, below `data/`.
    pub key: Rc<str>,
    /// How many numbers, or bytes of an untyped storage.
    pub size: usize,
}

/// A view of a storage.
#[derive(Debug)]
pub(super) struct TensorAt {
    pub storage: Rc<Storage>,
    /// torch's dtype where the storage does not tell it, such as `torch.float8_e4m3fn`.
    pub dtype: Option<Rc<str>>,
    /// Numbers, or bytes in an untyped storage, before the first.
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// What a program made.
#[derive(Debug, Default)]
pub(super) struct Pickle {
    /// Every tuple, list and dict; of a dict keys and values in turn.
    containers: Vec<Vec<Value>>,
    /// The last value.
    pub result: Option<Value>,
}

impl Pickle {
    /// Keys and values of a dict.
    pub fn items(&self, value: &Value) -> Option<impl Iterator<Item = (&Value, &Value)>> {
        let Value::Dict(at) = value else { return None };
        let (pairs, _) = self.containers[*at].as_chunks::<2>();
        Some(pairs.iter().map(|[key, value]| (key, value)))
    }

    fn tuple(&self, value: &Value) -> Option<&[Value]> {
        let Value::Tuple(at) = value else { return None };
        Some(&self.containers[*at])
    }

    fn keep(&mut self, values: Vec<Value>) -> usize {
        self.containers.push(values);
        self.containers.len() - 1
    }
}

/// Names that make tensors and containers of tensors. Storage classes and dtypes are permitted by [`permitted`].
const REBUILD: [&str; 4] = [
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
];
const ORDERED_DICT: &str = "collections.OrderedDict";
const SIZE: &str = "torch.Size";
/// torch's number types, as dtypes and as the first part of storage classes.
const DTYPES: [&str; 14] = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "uint16",
    "uint32",
    "bool",
];
const STORAGES: [&str; 10] =
    ["Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"];

/// Whether a name stands for data alone.
fn permitted(name: &str) -> bool {
    let bare = |prefix| name.strip_prefix(prefix).unwrap_or_default();
    let storage = bare("torch.").strip_suffix("Storage").is_some_and(|class| STORAGES.contains(&class));
    let data = [ORDERED_DICT, SIZE, "torch.storage.UntypedStorage"].contains(&name);
    data || storage || REBUILD.contains(&name) || DTYPES.contains(&bare("torch."))
}

/// Runs the program and gives what it made; the reason where it is broken or asks for anything but data.
pub(super) fn read(program: &[u8]) -> Result<Pickle, String> {
    Machine::run(program)
}

/// torch's reference to a storage: ("storage", class, key, device, size).
fn storage(made: &Pickle, id: &Value) -> Option<Storage> {
    let [Value::Text(kind), Value::Name(class), Value::Text(key), _, Value::Int(size)] = made.tuple(id)?
    else {
        return None;
    };
    let size = usize::try_from(*size).ok().filter(|_| &**kind == "storage")?;
    Some(Storage { class: class.clone(), key: key.clone(), size })
}

/// `_rebuild_tensor` (storage, offset, size, stride, ...); version 3 has the dtype as its seventh argument.
fn rebuild(made: &Pickle, name: &str, arguments: &[Value]) -> Option<TensorAt> {
    let [Value::Storage(storage), Value::Int(offset), shape, strides, rest @ ..] = arguments else {
        return None;
    };
    let dtype = match (name.ends_with("_v3"), rest) {
        (false, _) => None,
        (true, [_, _, Value::Name(dtype), ..]) => Some(dtype.clone()),
        _ => return None,
    };
    let (shape, strides) = (sizes(made.tuple(shape)?)?, sizes(made.tuple(strides)?)?);
    let (offset, storage) = (usize::try_from(*offset).ok()?, storage.clone());
    (shape.len() == strides.len()).then_some(TensorAt { storage, dtype, offset, shape, strides })
}

fn sizes(values: &[Value]) -> Option<Vec<usize>> {
    let size = |value: &Value| match value {
        Value::Int(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    values.iter().map(size).collect()
}
