//! Memory that a plug-in reads or writes as an image, with guards that tell when it wrote elsewhere.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ffi::c_void;

use half::f16;

use crate::image::{Bounds, Components, Depth, Image};

const ALIGNMENT: usize = 64;
/// Bytes before the first row, after the last and at the end of each.
const GUARD: usize = 64;
const GUARD_BYTE: u8 = 0xa5;
/// Not-a-number values nobody computes: a float still holding its own was never written.
const UNWRITTEN_FLOAT: u32 = 0x7fa5_5a5a;
const UNWRITTEN_HALF: u16 = 0x7d5a;

/// In which order rows lie in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RowOrder {
    /// Bottom row first, positive row bytes.
    #[default]
    BottomUp,
    /// Top row first in memory: the data pointer is at its end and row bytes are negative.
    Negative,
}

/// The memory of one image.
pub(crate) struct Buffer {
    bytes: *mut u8,
    layout: Layout,
    bounds: Bounds,
    components: Components,
    depth: Depth,
    order: RowOrder,
}

// SAFETY: the memory is owned; the host touches it only while building it and, after the plug-in
// gave the image back, while checking it, each under a lock of the caller's.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared access only reads addresses or, after release, bytes.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Memory holding an image in the given depth.
    pub(crate) fn filled(image: &Image, depth: Depth, order: RowOrder) -> Self {
        let buffer = Self::guarded(image.bounds, image.components, depth, order);
        for row in 0..image.bounds.height() {
            let bytes: Vec<u8> = image.row(row).iter().flat_map(|&value| encode(value, depth)).collect();
            buffer.write_row(row, &bytes);
        }
        buffer
    }

    /// Memory to be written by the plug-in.
    pub(crate) fn unwritten(bounds: Bounds, components: Components, depth: Depth, order: RowOrder) -> Self {
        let buffer = Self::guarded(bounds, components, depth, order);
        let values = bounds.width() * components.channels();
        let bytes: Vec<u8> = std::iter::repeat_n(unwritten_value(depth), values).flatten().collect();
        for row in 0..bounds.height() {
            buffer.write_row(row, &bytes);
        }
        buffer
    }

    fn guarded(bounds: Bounds, components: Components, depth: Depth, order: RowOrder) -> Self {
        let stride = stride(bounds, components, depth);
        let size = stride * bounds.height() + 2 * GUARD;
        // The sizes of one image: far below the limit of a layout.
        let Ok(layout) = Layout::from_size_align(size, ALIGNMENT) else {
            handle_alloc_error(Layout::new::<u8>())
        };
        // SAFETY: the size is at least two guards, so not zero.
        let bytes = unsafe { alloc(layout) };
        if bytes.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: freshly allocated with this size.
        unsafe { bytes.write_bytes(GUARD_BYTE, size) };
        Self { bytes, layout, bounds, components, depth, order }
    }

    fn stride(&self) -> usize {
        stride(self.bounds, self.components, self.depth)
    }

    fn row_length(&self) -> usize {
        self.bounds.width() * self.components.channels() * self.depth.bytes()
    }

    /// Where a row, counted from the bottom of the picture, begins.
    fn row_offset(&self, row: usize) -> usize {
        let place = match self.order {
            RowOrder::BottomUp => row,
            RowOrder::Negative => self.bounds.height() - 1 - row,
        };
        GUARD + place * self.stride()
    }

    fn write_row(&self, row: usize, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.row_length(), "a row of another length");
        // SAFETY: row_offset + row_length lies within the allocation for every row of the bounds.
        unsafe { self.bytes.add(self.row_offset(row)).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// The address of the bottom left pixel; null for an empty image.
    pub(crate) fn data(&self) -> *mut c_void {
        if self.bounds.height() == 0 {
            return std::ptr::null_mut();
        }
        // SAFETY: the offset of row 0 lies within the allocation.
        unsafe { self.bytes.add(self.row_offset(0)) }.cast()
    }

    /// Bytes from one row to the row above it.
    pub(crate) fn row_bytes(&self) -> i32 {
        let stride = self.stride() as i32;
        if self.order == RowOrder::Negative { -stride } else { stride }
    }

    fn all_bytes(&self) -> &[u8] {
        // SAFETY: allocated with this size and initialised with guard bytes.
        unsafe { std::slice::from_raw_parts(self.bytes, self.layout.size()) }
    }

    fn row(&self, row: usize) -> &[u8] {
        let start = self.row_offset(row);
        &self.all_bytes()[start..start + self.row_length()]
    }

    /// Whether all bytes around the rows are as they were.
    pub(crate) fn guards_are_intact(&self) -> bool {
        let bytes = self.all_bytes();
        let (stride, length) = (self.stride(), self.row_length());
        let untouched = |part: &[u8]| part.iter().all(|&byte| byte == GUARD_BYTE);
        let (before, rest) = bytes.split_at(GUARD);
        let (rows, after) = rest.split_at(stride * self.bounds.height());
        untouched(before)
            && untouched(after)
            && rows.chunks_exact(stride).all(|row| untouched(&row[length..]))
    }

    /// The picture now in the memory.
    pub(crate) fn to_image(&self) -> Image {
        let size = self.depth.bytes();
        let rows = (0..self.bounds.height()).map(|row| self.row(row));
        let data =
            rows.flat_map(|row| row.chunks_exact(size).map(|bytes| decode(bytes, self.depth))).collect();
        Image { bounds: self.bounds, components: self.components, data }
    }

    /// Whether the memory holds the same bytes as another of the same shape.
    pub(crate) fn holds(&self, image: &Image) -> bool {
        let encoded =
            |row| -> Vec<u8> { image.row(row).iter().flat_map(|&value| encode(value, self.depth)).collect() };
        (0..self.bounds.height()).all(|row| self.row(row) == encoded(row))
    }

    /// The first pixel, as x and y, of which a value was never written; integers cannot tell.
    pub(crate) fn first_unwritten(&self) -> Option<(i32, i32)> {
        if matches!(self.depth, Depth::Byte | Depth::Short) {
            return None;
        }
        let mark = unwritten_value(self.depth);
        let pixel = self.components.channels() * self.depth.bytes();
        (0..self.bounds.height()).find_map(|row| {
            let values = self.row(row).chunks_exact(self.depth.bytes());
            let index = values.enumerate().find(|(_, value)| *value == mark)?.0 * self.depth.bytes() / pixel;
            Some((self.bounds.x1 + index as i32, self.bounds.y1 + row as i32))
        })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout and freed once.
        unsafe { dealloc(self.bytes, self.layout) };
    }
}

fn stride(bounds: Bounds, components: Components, depth: Depth) -> usize {
    let row = bounds.width() * components.channels() * depth.bytes();
    row.next_multiple_of(16) + GUARD
}

fn unwritten_value(depth: Depth) -> Vec<u8> {
    match depth {
        Depth::Byte => vec![0x55],
        Depth::Short => vec![0x55, 0x55],
        Depth::Half => UNWRITTEN_HALF.to_ne_bytes().to_vec(),
        Depth::Float => UNWRITTEN_FLOAT.to_ne_bytes().to_vec(),
    }
}

/// A value in the bytes of a depth; integers are rounded and held to 0..1.
fn encode(value: f32, depth: Depth) -> impl Iterator<Item = u8> {
    let bytes: [u8; 4] = match depth {
        Depth::Byte => [(value.clamp(0.0, 1.0) * 255.0).round() as u8, 0, 0, 0],
        Depth::Short => widened(((value.clamp(0.0, 1.0) * 65535.0).round() as u16).to_ne_bytes()),
        Depth::Half => widened(f16::from_f32(value).to_ne_bytes()),
        Depth::Float => value.to_ne_bytes(),
    };
    bytes.into_iter().take(depth.bytes())
}

fn widened([a, b]: [u8; 2]) -> [u8; 4] {
    [a, b, 0, 0]
}

fn decode(bytes: &[u8], depth: Depth) -> f32 {
    let pair = || [bytes[0], bytes[1]];
    match depth {
        Depth::Byte => f32::from(bytes[0]) / 255.0,
        Depth::Short => f32::from(u16::from_ne_bytes(pair())) / 65535.0,
        Depth::Half => f16::from_ne_bytes(pair()).to_f32(),
        Depth::Float => f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(components: Components) -> Image {
        let bounds = Bounds { x1: -1, y1: 2, x2: 4, y2: 5 };
        Image::from_fn(bounds, components, |x, y, pixel| pixel.fill((x + 10 * y) as f32 / 255.0))
    }

    #[test]
    fn every_depth_and_order_holds_its_picture() {
        for depth in [Depth::Byte, Depth::Float] {
            for order in [RowOrder::BottomUp, RowOrder::Negative] {
                let image = ramp(Components::Rgba);
                let buffer = Buffer::filled(&image, depth, order);
                assert_eq!(buffer.to_image(), image, "{depth:?} {order:?}");
                assert!(buffer.holds(&image) && buffer.guards_are_intact());
            }
        }
    }

    #[test]
    fn a_write_beyond_a_row_is_seen() {
        for order in [RowOrder::BottomUp, RowOrder::Negative] {
            let buffer = Buffer::filled(&ramp(Components::Rgb), Depth::Float, order);
            let beyond = 5 * 3 * 4;
            // SAFETY: the row's padding, within the allocation.
            unsafe { buffer.data().cast::<u8>().add(beyond).write(0) };
            assert!(!buffer.guards_are_intact());
        }
    }

    #[test]
    fn a_pixel_never_written_is_found() {
        let bounds = Bounds::of_size(3, 2);
        let buffer = Buffer::unwritten(bounds, Components::Alpha, Depth::Float, RowOrder::Negative);
        let data = buffer.data().cast::<u8>();
        let pixels = [(0, 0), (1, 0), (2, 0), (0, 1), (2, 1)];
        for (x, y) in pixels {
            let offset = x * 4 + y * buffer.row_bytes() as isize;
            // SAFETY: a pixel within the bounds.
            unsafe { data.offset(offset).cast::<f32>().write(1.0) };
        }
        assert_eq!(buffer.first_unwritten(), Some((1, 1)));
    }
}
