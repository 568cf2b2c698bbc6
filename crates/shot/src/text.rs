//! Words in pictures: an 8x8 bitmap font, drawn at whole multiples.

use crate::frame::Frame;
use font8x8::legacy::BASIC_LEGACY;

/// Side of a character's cell at scale 1.
pub const CELL: usize = 8;

/// Width in pixels of a text at a scale.
pub fn width(text: &str, scale: usize) -> usize {
    text.chars().count() * CELL * scale
}

/// Draws a text with its top left corner at `x`, `y`; what falls outside is cut off. Characters
/// beyond ASCII become "?".
pub fn draw(frame: &mut Frame, text: &str, x: i64, y: i64, scale: usize, colour: [f32; 3]) {
    for (index, character) in text.chars().enumerate() {
        let left = x + (index * CELL * scale) as i64;
        for (row, bits) in glyph(character).into_iter().enumerate() {
            for column in (0..CELL).filter(|column| bits >> column & 1 == 1) {
                let (u, v) = (left + (column * scale) as i64, y + (row * scale) as i64);
                fill(frame, u, v, scale, scale, colour);
            }
        }
    }
}

/// Fills a rectangle; what falls outside is cut off.
pub fn fill(frame: &mut Frame, x: i64, y: i64, width: usize, height: usize, colour: [f32; 3]) {
    let inside = |at: i64, length: usize, limit: usize| {
        at.clamp(0, limit as i64) as usize..(at + length as i64).clamp(0, limit as i64) as usize
    };
    let columns = inside(x, width, frame.width);
    for row in inside(y, height, frame.height) {
        columns.clone().for_each(|column| frame.pixel_mut(column, row).copy_from_slice(&colour));
    }
}

fn glyph(character: char) -> [u8; 8] {
    let index = if character.is_ascii() { character } else { '?' };
    BASIC_LEGACY[index as usize]
}
