//! Calls of kernels and matrix products, apart from the device that does them: what is checked without a GPU.

use candle_core::Result;

/// The types values are held in; all arithmetic is in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    F32,
    Bf16,
}

impl Type {
    /// Bytes of one value.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// What this type's kernels are called at the end.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Values in the device's memory, row-major without gaps. Copies are as cheap and as unchecked as pointers: who runs a
/// call sees to it that the memory is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Values {
    /// Address of the first byte; 0 is none.
    pub address: u64,
    pub of: Type,
}

impl Values {
    /// No values: for operands that a kernel can do without.
    pub const NONE: Self = Self { address: 0, of: Type::F32 };

    /// The same from element `offset` on.
    pub fn from(self, offset: usize) -> Self {
        Self { address: self.address + (offset * self.of.size()) as u64, ..self }
    }
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    Values(Values),
    Int(i32),
    Long(i64),
    Float(f32),
}

impl From<Values> for Arg {
    fn from(values: Values) -> Self {
        Self::Values(values)
    }
}

impl From<f32> for Arg {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<i32> for Arg {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}

impl Arg {
    /// A size that the kernel takes as `int`.
    pub fn int(value: usize) -> Result<Self> {
        Ok(Self::Int(i32::try_from(value).map_err(candle_core::Error::wrap)?))
    }

    /// A size that the kernel takes as `i64`.
    pub fn long(value: usize) -> Self {
        Self::Long(value as i64)
    }
}

/// One call of a kernel.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub kernel: String,
    /// Blocks along x and y.
    pub grid: [u32; 2],
    /// Threads of a block, a multiple of 32.
    pub threads: u32,
    pub args: Vec<Arg>,
}

/// Threads of a block that covers elements or columns.
const THREADS: usize = 256;
/// Most blocks along y.
const MOST_GROUPS: usize = 65_535;
/// Most blocks along x.
const MOST_BLOCKS: usize = i32::MAX as usize;

impl Launch {
    /// Of the kernel `name` for values of type `of`, a block a row: `rows` of `size` values.
    pub fn rows(name: &str, of: Type, rows: usize, size: usize, args: Vec<Arg>) -> Result<Self> {
        let threads = size.next_multiple_of(32).clamp(32, THREADS);
        Self::new(format!("{name}_{}", of.suffix()), [rows, 1], threads, args)
    }

    /// The same for `count` elements, a thread each.
    pub fn elements(name: &str, of: Type, count: usize, args: Vec<Arg>) -> Result<Self> {
        Self::columns(name, of, [count, 1], args)
    }

    /// The same for `columns` elements of each of `groups`.
    pub fn columns(name: &str, of: Type, [columns, groups]: [usize; 2], args: Vec<Arg>) -> Result<Self> {
        let grid = [columns.div_ceil(THREADS).min(MOST_BLOCKS), groups];
        Self::new(format!("{name}_{}", of.suffix()), grid, THREADS, args)
    }

    /// Of a kernel for one type alone.
    pub fn new(kernel: String, [x, y]: [usize; 2], threads: usize, args: Vec<Arg>) -> Result<Self> {
        if x > MOST_BLOCKS || y > MOST_GROUPS {
            candle_core::bail!("{kernel}: {x}x{y} blocks are more than a device takes");
        }
        Ok(Self { kernel, grid: [x as u32, y as u32], threads: threads as u32, args })
    }

    /// Whether there is anything to do; devices refuse empty grids.
    pub fn is_empty(&self) -> bool {
        self.grid.contains(&0)
    }
}

/// A matrix of a batch, row-major.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix {
    pub values: Values,
    /// Values from one row to the next, as stored.
    pub row: usize,
    /// Values from one matrix of the batch to the next.
    pub next: usize,
    /// Whether rows and columns are exchanged when it is read.
    pub transposed: bool,
}

impl Matrix {
    /// Rows of `row` values.
    pub fn new(values: Values, row: usize) -> Self {
        Self { values, row, next: 0, transposed: false }
    }

    /// Read with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// The first of a batch, `next` values from one to the next.
    pub fn batched(self, next: usize) -> Self {
        Self { next, ..self }
    }
}

/// `c (rows, columns) = scale a (rows, inner) b (inner, columns) + keep c` for each of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub size: [usize; 3],
    pub batch: usize,
    pub a: Matrix,
    pub b: Matrix,
    pub c: Matrix,
    pub scale: f32,
    pub keep: f32,
}

impl Product {
    /// `c = a b` for one matrix each; `size` is rows, columns, inner.
    pub fn new(size: [usize; 3], a: Matrix, b: Matrix, c: Matrix) -> Self {
        Self { size, batch: 1, a, b, c, scale: 1.0, keep: 0.0 }
    }

    /// This product as cuBLAS, which counts down columns, is asked for it: with operands and sizes exchanged.
    pub fn by_columns(&self) -> Result<ByColumns> {
        let [rows, columns, inner] = self.size;
        let int = |n: usize| i32::try_from(n).map_err(candle_core::Error::wrap);
        Ok(ByColumns {
            transposed: [self.b.transposed, self.a.transposed],
            size: [int(columns)?, int(rows)?, int(inner)?],
            leading: [int(self.b.row)?, int(self.a.row)?, int(self.c.row)?],
            next: [self.b.next as i64, self.a.next as i64, self.c.next as i64],
            values: [self.b.values, self.a.values, self.c.values],
            batch: int(self.batch)?,
        })
    }
}

/// The arguments of cuBLAS's `gemmStridedBatchedEx`, those of its A, B and C in this order.
#[derive(Clone, Debug)]
pub(crate) struct ByColumns {
    pub transposed: [bool; 2],
    /// m, n, k
    pub size: [i32; 3],
    pub leading: [i32; 3],
    pub next: [i64; 3],
    pub values: [Values; 3],
    pub batch: i32,
}

/// What does the calls: one after the other, in the order they are given.
pub(crate) trait Gpu {
    fn launch(&self, launch: &Launch) -> Result<()>;

    fn multiply(&self, product: &Product) -> Result<()>;

    /// Memory for `count` values, undefined, at least until all calls given before it is dropped are done.
    fn scratch(&self, count: usize, of: Type) -> Result<Scratch>;
}

/// Memory that is given back when dropped.
pub(crate) struct Scratch {
    pub values: Values,
    pub _memory: Box<dyn std::any::Any>,
}
