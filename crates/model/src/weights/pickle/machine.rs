//! The stack machine that pickles are programs for, without what could run code.

use std::collections::HashMap;
use std::rc::Rc;

use super::{ORDERED_DICT, Pickle, REBUILD, SIZE, Value, permitted, rebuild, storage};

/// The machine in the middle of its program.
#[derive(Default)]
pub(super) struct Machine<'a> {
    made: Pickle,
    program: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
}

impl<'a> Machine<'a> {
    pub fn run(program: &'a [u8]) -> Result<Pickle, String> {
        let mut machine = Self { program, ..Self::default() };
        while machine.made.result.is_none() {
            machine.step()?;
        }
        Ok(machine.made)
    }

    /// Does one operation.
    fn step(&mut self) -> Result<(), String> {
        match self.byte()? {
            b'.' => self.made.result = Some(self.pop()?),
            b'\x80' => self.skip(1)?,
            b'\x95' => self.skip(8)?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.marked()?),
            b'2' => {
                let top = self.top()?.clone();
                self.stack.push(top);
            }
            b'N' | b'\x88' | b'\x89' => self.stack.push(Value::Other),
            b'K' => self.int::<1>(false)?,
            b'M' => self.int::<2>(false)?,
            b'J' => self.int::<4>(true)?,
            b'\x8a' => self.long()?,
            b'G' => {
                self.skip(8)?;
                self.stack.push(Value::Other);
            }
            b'X' | b'T' => self.text(4)?,
            b'U' | b'\x8c' => self.text(1)?,
            b'\x8d' => self.text(8)?,
            b'}' => self.contain(Value::Dict, Vec::new()),
            b']' => self.contain(Value::List, Vec::new()),
            b')' => self.contain(Value::Tuple, Vec::new()),
            b'\x85' => self.tuple_of(1)?,
            b'\x86' => self.tuple_of(2)?,
            b'\x87' => self.tuple_of(3)?,
            b't' => {
                let values = self.marked()?;
                self.contain(Value::Tuple, values);
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let values = self.marked()?;
                self.append(values)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![key, value])?;
            }
            b'u' => {
                let values = self.marked()?;
                self.set(values)?;
            }
            b'q' => self.put(1)?,
            b'r' => self.put(4)?,
            b'\x94' => {
                let (index, top) = (self.memo.len() as u64, self.top()?.clone());
                self.memo.insert(index, top);
            }
            b'h' => self.get(1)?,
            b'j' => self.get(4)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.name(&module, &name)?;
            }
            b'\x93' => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.name(&module, &name)?;
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = storage(&self.made, &id).ok_or("a broken reference to a storage")?;
                self.stack.push(Value::Storage(Rc::new(storage)));
            }
            b'R' => self.call()?,
            // The state of an OrderedDict is its `_metadata`, which is of no use here; nothing else may have one.
            b'b' => drop(self.pop()?),
            other => {
                return Err(format!("pickle operation {other:#04x} is not one that tensors need; refused"));
            }
        }
        Ok(())
    }

    fn name(&mut self, module: &str, name: &str) -> Result<(), String> {
        let name = format!("{module}.{name}");
        if !permitted(&name) {
            return Err(format!(
                "refused: it names `{name}`, which is no part of a tensor and might run code"
            ));
        }
        self.stack.push(Value::Name(name.into()));
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Name(name), Some(arguments)) = (function, self.made.tuple(&arguments)) else {
            return Err("refused: it calls what is no function of torch".into());
        };
        let result = match (&*name, arguments) {
            (ORDERED_DICT, []) => Value::Dict(self.made.keep(Vec::new())),
            (SIZE, [sizes]) => sizes.clone(),
            ("torch._utils._rebuild_parameter", [tensor @ Value::Tensor(_), ..]) => tensor.clone(),
            _ if REBUILD.contains(&&*name) => {
                let tensor = rebuild(&self.made, &name, arguments);
                Value::Tensor(Rc::new(tensor.ok_or_else(|| format!("broken arguments of {name}"))?))
            }
            _ => return Err(format!("refused: it calls {name}")),
        };
        self.stack.push(result);
        Ok(())
    }

    fn contain(&mut self, kind: impl Fn(usize) -> Value, values: Vec<Value>) {
        let at = self.made.keep(values);
        self.stack.push(kind(at));
    }

    fn append(&mut self, values: Vec<Value>) -> Result<(), String> {
        let &Value::List(at) = self.top()? else { return Err(broken()) };
        self.made.containers[at].extend(values);
        Ok(())
    }

    fn set(&mut self, values: Vec<Value>) -> Result<(), String> {
        let &Value::Dict(at) = self.top()? else { return Err(broken()) };
        if !values.len().is_multiple_of(2) {
            return Err(broken());
        }
        self.made.containers[at].extend(values);
        Ok(())
    }

    fn put(&mut self, width: usize) -> Result<(), String> {
        let index = self.number(width)?;
        let top = self.top()?.clone();
        self.memo.insert(index, top);
        Ok(())
    }

    fn get(&mut self, width: usize) -> Result<(), String> {
        let index = self.number(width)?;
        let value = self.memo.get(&index).cloned().ok_or_else(broken)?;
        self.stack.push(value);
        Ok(())
    }

    fn int<const N: usize>(&mut self, signed: bool) -> Result<(), String> {
        let number = self.number(N)?;
        let value = if signed { i64::from(number as u32 as i32) } else { number as i64 };
        self.stack.push(Value::Int(value));
        Ok(())
    }

    /// An integer of up to eight bytes; larger ones are no sizes.
    fn long(&mut self) -> Result<(), String> {
        let length = usize::from(self.byte()?);
        let bytes = self.take(length)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole.get_mut(..length).ok_or_else(broken)?.copy_from_slice(bytes);
        self.stack.push(Value::Int(i64::from_le_bytes(whole)));
        Ok(())
    }

    fn text(&mut self, width: usize) -> Result<(), String> {
        let length = usize::try_from(self.number(width)?).map_err(|_| broken())?;
        let text = String::from_utf8_lossy(self.take(length)?).as_ref().into();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn tuple_of(&mut self, count: usize) -> Result<(), String> {
        let from = self.stack.len().checked_sub(count).ok_or_else(broken)?;
        let values = self.stack.split_off(from);
        self.contain(Value::Tuple, values);
        Ok(())
    }

    /// All values since the last mark.
    fn marked(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or_else(broken)?;
        Ok(self.stack.split_off(mark))
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(broken)
    }

    fn pop_text(&mut self) -> Result<Rc<str>, String> {
        match self.pop()? {
            Value::Text(text) => Ok(text),
            _ => Err(broken()),
        }
    }

    fn top(&self) -> Result<&Value, String> {
        self.stack.last().ok_or_else(broken)
    }

    fn number(&mut self, width: usize) -> Result<u64, String> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(drop)
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = self.program.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(broken)?;
        self.at += end + 1;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.program.len()).ok_or_else(broken)?;
        let bytes = &self.program[self.at..end];
        self.at = end;
        Ok(bytes)
    }
}

fn broken() -> String {
    "a broken pickle".into()
}
