//! The demo's contact sheet: what was given, what came out, what it should have been.

use anyhow::Result;
use lora_edit_shot::colour::to_display;
use lora_edit_shot::sheet::ContactSheet;
use lora_edit_shot::{ColourSpace, Frame};

use super::measure::{Compared, Figures};

/// Columns of the sheet: enough to see the motion, few enough to see the picture.
const COLUMNS: usize = 6;
/// The difference is shown this many times as strong.
const GAIN: f32 = 3.0;

/// Source, mask, painted frame, result, without LoRA, truth and difference over the shot.
pub fn contact_sheet(frames: &[Compared], figures: &Figures) -> Result<ContactSheet> {
    let shown = spread(frames);
    let row = |picture: fn(&Compared) -> Frame| shown.iter().map(|f| picture(f)).collect::<Vec<_>>();
    let painted = shown.iter().enumerate().map(|(i, f)| (i == 0).then(|| display(&f.truth)));
    Ok(ContactSheet::new("LoRA-Edit demo: one painted frame, the whole shot edited")
        .caption(&format!(
            "in-mask PSNR: result {:.1} dB, without LoRA {:.1}, first frame held {:.1}, no edit {:.1}; outside the mask: max difference {}",
            figures.result, figures.without_lora, figures.first_frame_held, figures.no_edit, figures.outside
        ))
        .headings(shown.iter().map(|f| f.number))
        .row("source", row(|f| display(&f.source)))
        .row("mask", row(|f| f.mask.to_rgb()))
        .row_with_gaps("painted", painted.collect::<Vec<_>>())
        .row("result", row(|f| display(&f.result)))
        .row("without LoRA", row(|f| display(&f.without_lora)))
        .row("truth", row(|f| display(&f.truth)))
        .row("difference x3", row(difference)))
}

/// At most [`COLUMNS`] frames, first and last among them.
fn spread(frames: &[Compared]) -> Vec<&Compared> {
    let columns = COLUMNS.min(frames.len());
    (0..columns).map(|i| &frames[i * (frames.len() - 1) / (columns - 1).max(1)]).collect()
}

fn display(frame: &Frame) -> Frame {
    to_display(&frame.to_rgb(), ColourSpace::Linear)
}

fn difference(frame: &Compared) -> Frame {
    let (mut result, truth) = (display(&frame.result), display(&frame.truth));
    result.data.iter_mut().zip(&truth.data).for_each(|(r, t)| *r = (*r - t).abs() * GAIN);
    result
}
