//! Printed letters: a small face of our own, softened so that it has no pixels.

use super::geometry::{Vec2, smooth_step};
use super::noise::of_index;

/// Height of a printed line, in units of a letter's height.
pub const LINE: f32 = 1.5;
/// Width of a letter with its space, in units of its height.
const ADVANCE: f32 = 0.8;
const COLUMNS: i32 = 5;
const ROWS: i32 = 7;

/// Rows from the top, the left column in bit 4.
const GLYPHS: [[u8; 7]; 12] = [
    [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001], // A
    [0b11110, 0b10001, 0b10001, 0b11110, 0b10001, 0b10001, 0b11110], // B
    [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111], // E
    [0b10001, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010, 0b10001], // K
    [0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001], // M
    [0b10001, 0b11001, 0b10101, 0b10101, 0b10011, 0b10001, 0b10001], // N
    [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110], // O
    [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001], // R
    [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110], // S
    [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100], // T
    [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111], // 2
    [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000], // 7
];

/// How much ink of letter `which` lies at `at`: the letter fills 0..1 downwards and 0..5/7 to the right. 0..1.
pub fn letter(at: Vec2, which: usize) -> f32 {
    let glyph = &GLYPHS[which % GLYPHS.len()];
    let bit = |column: i32, row: i32| {
        let inside = (0..COLUMNS).contains(&column) && (0..ROWS).contains(&row);
        if inside && glyph[row as usize] >> (COLUMNS - 1 - column) & 1 == 1 { 1.0 } else { 0.0 }
    };
    let (x, y) = (at[0] * ROWS as f32 - 0.5, at[1] * ROWS as f32 - 0.5);
    let (column, row, fx, fy) = (x.floor() as i32, y.floor() as i32, x - x.floor(), y - y.floor());
    let top = bit(column, row) * (1.0 - fx) + bit(column + 1, row) * fx;
    let bottom = bit(column, row + 1) * (1.0 - fx) + bit(column + 1, row + 1) * fx;
    smooth_step(0.35, 0.6, top * (1.0 - fy) + bottom * fy)
}

/// Ink of a page full of words; a letter is one unit high. 0..1.
pub fn page(at: Vec2, seed: u32) -> f32 {
    let line = (at[1] / LINE).floor();
    let place = (at[0] / ADVANCE).floor();
    let index = (line as i32).wrapping_mul(131).wrapping_add(place as i32);
    let drawn = of_index(index, seed);
    if drawn < 0.16 {
        return 0.0; // the space between words
    }
    letter([at[0] - place * ADVANCE, at[1] - line * LINE - 0.2], (drawn * 1000.0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_its_strokes() {
        let at = |column: f32, row: f32| letter([(column + 0.5) / 7.0, (row + 0.5) / 7.0], 9);
        assert!(at(2.0, 0.0) > 0.99 && at(2.0, 5.0) > 0.99, "the T's stem");
        assert!(at(0.0, 5.0) < 0.01 && at(4.0, 3.0) < 0.01, "beside the T's stem");
        assert_eq!(letter([-1.0, 0.5], 3), 0.0);
    }

    #[test]
    fn a_page_is_neither_empty_nor_black() {
        let ink: f32 = (0..10_000).map(|i| page([(i % 100) as f32 * 0.1, (i / 100) as f32 * 0.1], 4)).sum();
        assert!((0.1..0.45).contains(&(ink / 10_000.0)), "{ink}");
    }
}
