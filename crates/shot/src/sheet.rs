//! Contact sheets: rows of pictures with labels and column headings, on dark neutral grey.

use crate::frame::Frame;
use crate::image_io::{ImageError, write_png8};
use crate::resize::{Filter, resize};
use crate::text;
use std::path::Path;

const GROUND: [f32; 3] = [0.085; 3];
const WORDS: [f32; 3] = [0.82; 3];
const QUIET: [f32; 3] = [0.52; 3];
const EMPTY: [f32; 3] = [0.13; 3];
const GAP: usize = 6;
const MARGIN: usize = 16;
const LINE: usize = 2 * text::CELL;

/// A grid of pictures. All cells get one size; pictures keep their aspect.
#[derive(Debug, Clone, Default)]
pub struct ContactSheet {
    title: String,
    captions: Vec<String>,
    headings: Vec<String>,
    rows: Vec<(String, Vec<Option<Frame>>)>,
    cell: Option<[usize; 2]>,
}

impl ContactSheet {
    /// An empty sheet; an empty title takes no room.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_string(), ..Self::default() }
    }

    /// Words above the columns, from the left.
    pub fn headings(mut self, headings: impl IntoIterator<Item = impl ToString>) -> Self {
        self.headings = headings.into_iter().map(|heading| heading.to_string()).collect();
        self
    }

    /// A line of small print under the title.
    pub fn caption(mut self, line: &str) -> Self {
        self.captions.push(line.to_string());
        self
    }

    /// Size of all cells; without it the first picture's.
    pub fn cell_size(mut self, width: usize, height: usize) -> Self {
        self.cell = Some([width.max(1), height.max(1)]);
        self
    }

    /// A row of display-encoded pictures (grey, RGB or RGBA in 0..1).
    pub fn row(self, label: &str, pictures: impl IntoIterator<Item = Frame>) -> Self {
        self.row_with_gaps(label, pictures.into_iter().map(Some))
    }

    /// As [`ContactSheet::row`], where some cells stay empty.
    pub fn row_with_gaps(mut self, label: &str, pictures: impl IntoIterator<Item = Option<Frame>>) -> Self {
        self.rows.push((label.to_string(), pictures.into_iter().collect()));
        self
    }

    /// The sheet as an RGB picture of display values.
    pub fn render(&self) -> Frame {
        let layout = Layout::of(self);
        let mut sheet = Frame::filled(layout.size()[0], layout.size()[1], &GROUND);
        self.draw_words(&mut sheet, &layout);
        for (row, (label, pictures)) in self.rows.iter().enumerate() {
            let y = layout.row(row);
            let middle = y + (layout.cell[1].saturating_sub(LINE) / 2) as i64;
            text::draw(&mut sheet, label, MARGIN as i64, middle, layout.label_scale, WORDS);
            for (column, picture) in pictures.iter().enumerate() {
                let at = [layout.column(column), y];
                text::fill(&mut sheet, at[0], at[1], layout.cell[0], layout.cell[1], EMPTY);
                if let Some(picture) = picture {
                    place(&mut sheet, picture, at, layout.cell);
                }
            }
        }
        sheet
    }

    /// Renders and writes a PNG file.
    pub fn write_png(&self, path: &Path) -> Result<(), ImageError> {
        write_png8(path, &self.render())
    }

    fn draw_words(&self, sheet: &mut Frame, layout: &Layout) {
        let mut y = MARGIN as i64;
        if !self.title.is_empty() {
            text::draw(sheet, &self.title, MARGIN as i64, y, 2, WORDS);
            y += (LINE + GAP) as i64;
        }
        for line in &self.captions {
            text::draw(sheet, line, MARGIN as i64, y, 1, QUIET);
            y += (text::CELL + GAP) as i64;
        }
        for (column, heading) in self.headings.iter().enumerate() {
            let scale = if text::width(heading, 2) <= layout.cell[0] { 2 } else { 1 };
            let free = layout.cell[0] as i64 - text::width(heading, scale) as i64;
            let x = layout.column(column) + free.max(0) / 2;
            text::draw(sheet, heading, x, layout.row(0) - (LINE + GAP) as i64, scale, QUIET);
        }
    }
}

/// Where everything stands.
struct Layout {
    cell: [usize; 2],
    columns: usize,
    rows: usize,
    left: usize,
    top: usize,
    least_width: usize,
    label_scale: usize,
}

impl Layout {
    fn of(sheet: &ContactSheet) -> Self {
        let first = sheet.rows.iter().flat_map(|(_, pictures)| pictures.iter().flatten()).next();
        let cell = sheet.cell.or(first.map(|frame| [frame.width, frame.height])).unwrap_or([64, 64]);
        let widest = |scale| sheet.rows.iter().map(|(l, _)| text::width(l, scale)).max().unwrap_or(0);
        let label_scale = if widest(2) <= 224 { 2 } else { 1 };
        let title = if sheet.title.is_empty() { 0 } else { LINE + GAP };
        let headings = if sheet.headings.is_empty() { 0 } else { LINE + GAP };
        let captions = sheet.captions.len() * (text::CELL + GAP);
        let longest = sheet.captions.iter().map(|line| text::width(line, 1)).max().unwrap_or(0);
        let label = widest(label_scale);
        Self {
            cell,
            columns: sheet.rows.iter().map(|(_, row)| row.len()).max().unwrap_or(0).max(sheet.headings.len()),
            rows: sheet.rows.len(),
            left: MARGIN + if label > 0 { label + 2 * GAP } else { 0 },
            top: MARGIN + title + captions + if title + captions > 0 { 2 * GAP } else { 0 } + headings,
            least_width: longest.max(text::width(&sheet.title, 2)) + 2 * MARGIN,
            label_scale,
        }
    }

    fn size(&self) -> [usize; 2] {
        let width = self.left + self.columns * (self.cell[0] + GAP) - GAP.min(self.columns * GAP) + MARGIN;
        let height = self.top + self.rows * (self.cell[1] + GAP) - GAP.min(self.rows * GAP) + MARGIN;
        [width.max(self.least_width), height]
    }

    fn column(&self, column: usize) -> i64 {
        (self.left + column * (self.cell[0] + GAP)) as i64
    }

    fn row(&self, row: usize) -> i64 {
        (self.top + row * (self.cell[1] + GAP)) as i64
    }
}

/// Puts a picture into the middle of a cell, as large as its aspect allows.
fn place(sheet: &mut Frame, picture: &Frame, at: [i64; 2], cell: [usize; 2]) {
    let scale =
        (cell[0] as f64 / picture.width.max(1) as f64).min(cell[1] as f64 / picture.height.max(1) as f64);
    let side = |length: usize, limit: usize| ((length as f64 * scale).round() as usize).clamp(1, limit);
    let (width, height) = (side(picture.width, cell[0]), side(picture.height, cell[1]));
    let picture = resize(&picture.to_rgb(), width, height, Filter::Bilinear);
    let left = at[0] as usize + (cell[0] - width) / 2;
    let top = at[1] as usize + (cell[1] - height) / 2;
    for y in 0..height {
        sheet.row_mut(top + y)[left * 3..(left + width) * 3].copy_from_slice(picture.row(y));
    }
}
