//! A device that runs the kernels' source on the CPU and cuBLAS's products by their definition: the calls that a GPU
//! would get, checked against the reference without one.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use candle_core::{DType, Device, Result, Tensor};
use half::bf16;

use super::super::check;
use super::call::{Arg, ByColumns, Gpu, Launch, Product, Scratch, Type, Values};

type Emulate = unsafe extern "C" fn(*const c_char, c_uint, c_uint, c_uint, *mut *mut c_void, c_int) -> c_int;

/// The kernels, compiled once per run of the tests.
fn emulate() -> &'static libloading::Symbol<'static, Emulate> {
    static LIBRARY: OnceLock<libloading::Library> = OnceLock::new();
    static FUNCTION: OnceLock<libloading::Symbol<'static, Emulate>> = OnceLock::new();
    FUNCTION.get_or_init(|| {
        // SAFETY: the library was built from `emulate.cpp` just now; it has no initialisers, and a function of this
        // name and type.
        unsafe { LIBRARY.get_or_init(|| libloading::Library::new(build()).unwrap()).get(b"emulate").unwrap() }
    })
}

fn build() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernels/cuda");
    let out = tempfile::tempdir().unwrap().keep().join("emulated.so");
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let mut command = Command::new(&compiler);
    command.args(["-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-o"]).arg(&out);
    let done = command.arg(folder.join("emulate.cpp")).output();
    let done = done.unwrap_or_else(|error| panic!("{compiler}: {error}; this test needs a C++ compiler"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    out
}

/// The emulated device.
#[derive(Default)]
pub struct Emulated {
    /// Whether the threads of a block run in falling order.
    pub backwards: Cell<bool>,
}

impl Gpu for Emulated {
    fn launch(&self, launch: &Launch) -> Result<()> {
        if launch.is_empty() {
            return Ok(());
        }
        let name = CString::new(launch.kernel.clone()).unwrap();
        let [x, y] = launch.grid;
        let mut args: Vec<*mut c_void> = launch.args.iter().map(address).collect();
        // One kernel at a time: its threads' places are variables of the library.
        static BUSY: Mutex<()> = Mutex::new(());
        let _busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the arguments are those the kernel takes, and point to memory of this process: what the tests check.
        let known = unsafe {
            emulate()(name.as_ptr(), x, y, launch.threads, args.as_mut_ptr(), self.backwards.get().into())
        };
        assert_eq!(known, 1, "no kernel {}", launch.kernel);
        Ok(())
    }

    fn multiply(&self, product: &Product) -> Result<()> {
        multiply_by_columns(&product.by_columns()?, product.scale, product.keep);
        Ok(())
    }

    /// Filled with NaN, so that what is read before it is written shows.
    fn scratch(&self, count: usize, of: Type) -> Result<Scratch> {
        let buffer = Buffer::undefined(&[count], of);
        Ok(Scratch { values: buffer.values(), _memory: Box::new(buffer) })
    }
}

fn address(arg: &Arg) -> *mut c_void {
    match arg {
        Arg::Values(values) => std::ptr::from_ref(&values.address) as *mut c_void,
        Arg::Int(value) => std::ptr::from_ref(value) as *mut c_void,
        Arg::Long(value) => std::ptr::from_ref(value) as *mut c_void,
        Arg::Float(value) => std::ptr::from_ref(value) as *mut c_void,
    }
}

/// `C = alpha op(A) op(B) + beta C` as cuBLAS's documentation defines it: element (i, j) of a matrix lies at
/// `i + j ld`; op(A) is m x k, op(B) is k x n; all sums in f32 or better.
fn multiply_by_columns(call: &ByColumns, alpha: f32, beta: f32) {
    let [m, n, k] = call.size.map(|n| n as usize);
    let [lda, ldb, ldc] = call.leading.map(|n| n as usize);
    let [a_rows, b_rows] = [if call.transposed[0] { k } else { m }, if call.transposed[1] { n } else { k }];
    assert!(lda >= a_rows.max(1) && ldb >= b_rows.max(1) && ldc >= m.max(1), "leading dimensions: {call:?}");
    assert_eq!(call.values[0].of, call.values[1].of, "A and B must be of one type");
    for matrix in 0..call.batch as usize {
        let [a, b, c] = [0, 1, 2].map(|i| call.values[i].from(matrix * call.next[i] as usize));
        for j in 0..n {
            for i in 0..m {
                let mut sum = 0f64;
                for p in 0..k {
                    let x = read(a, if call.transposed[0] { p + i * lda } else { i + p * lda });
                    let y = read(b, if call.transposed[1] { j + p * ldb } else { p + j * ldb });
                    sum += f64::from(x) * f64::from(y);
                }
                // With beta 0, C is not read: it may hold NaN.
                let old = if beta == 0.0 { 0.0 } else { beta * read(c, i + j * ldc) };
                write(c, i + j * ldc, alpha * sum as f32 + old);
            }
        }
    }
}

fn read(values: Values, i: usize) -> f32 {
    // SAFETY: as in `launch`: the calls under test say where the operands lie in this process.
    unsafe {
        match values.of {
            Type::F32 => *(values.address as *const f32).add(i),
            Type::Bf16 => (*(values.address as *const bf16).add(i)).to_f32(),
        }
    }
}

fn write(values: Values, i: usize, value: f32) {
    // SAFETY: as in `read`.
    unsafe {
        match values.of {
            Type::F32 => *(values.address as *mut f32).add(i) = value,
            Type::Bf16 => *(values.address as *mut bf16).add(i) = bf16::from_f32(value),
        }
    }
}

/// NaN in both types: what undefined memory holds.
const UNDEFINED: u32 = u32::MAX;
/// Words before and after a buffer's values that must stay undefined.
const GUARD: usize = 64;

/// A buffer of the emulated device. When it is dropped, nothing may have been written beside it.
pub struct Buffer {
    memory: Vec<Cell<u32>>,
    of: Type,
    shape: Vec<usize>,
}

impl Buffer {
    /// Holding `t`, rounded to `of`.
    pub fn of(t: &Tensor, of: Type) -> Self {
        let buffer = Self::undefined(t.dims(), of);
        let values = t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.into_iter().enumerate().for_each(|(i, value)| write(buffer.values(), i, value));
        buffer
    }

    /// Holding NaN.
    pub fn undefined(shape: &[usize], of: Type) -> Self {
        let count = shape.iter().product::<usize>();
        let words = (count * of.size()).div_ceil(4) + 2 * GUARD;
        Self { memory: vec![Cell::new(UNDEFINED); words], of, shape: shape.to_vec() }
    }

    pub fn values(&self) -> Values {
        Values { address: self.memory[GUARD..].as_ptr() as u64, of: self.of }
    }

    /// Whether nothing was written before or after the values.
    fn is_whole(&self) -> bool {
        let count = self.shape.iter().product::<usize>();
        let (before, rest) = self.memory.split_at(GUARD);
        let (_, after) = rest.split_at(count * self.of.size() / 4);
        // An odd number of values of two bytes leaves half a word.
        let half = if (count * self.of.size()).is_multiple_of(4) { 0 } else { 0xffff };
        let of_values = |i: usize| if i == 0 { half } else { 0 };
        before.iter().all(|word| word.get() == UNDEFINED)
            && after.iter().enumerate().all(|(i, word)| word.get() | of_values(i) == UNDEFINED)
    }

    pub fn tensor(&self) -> Tensor {
        let count = self.shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|i| read(self.values(), i)).collect();
        Tensor::from_vec(values, self.shape.as_slice(), &Device::Cpu).unwrap()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        assert!(self.is_whole() || std::thread::panicking(), "written beside {:?} {:?}", self.shape, self.of);
    }
}

/// Standard normal numbers, the same for the same `seed`, rounded to `of`.
pub fn random(seed: u64, shape: &[usize], of: Type) -> Tensor {
    Buffer::of(&crate::flow::noise(seed, shape).unwrap(), of).tensor()
}

/// Does `check` for both types of values and both orders of threads.
pub fn in_every_way(check: impl Fn(&Emulated, Type)) {
    for of in [Type::F32, Type::Bf16] {
        for backwards in [false, true] {
            check(&Emulated { backwards: backwards.into() }, of);
        }
    }
}

/// Fails unless `found` is `expected` to within what values of type `of` can hold, relative to the greatest.
pub fn close(what: &str, found: &Buffer, expected: &Tensor, of: Type) {
    let limit = if of == Type::F32 { 1e-4 } else { 2e-2 };
    check::close(&format!("{what} in {of:?}"), &found.tensor(), expected, limit);
}
