//! The contact sheet of a shot: what was given, what came out, what it should have been.

use std::collections::BTreeMap;

use lora_edit_shot::Frame;
use lora_edit_shot::sheet::ContactSheet;

use super::answer::{Answer, Clip, display};
use super::report::ShotReport;
use super::shot::{FIRST, Shot};

/// Columns: enough to see the motion, few enough to see the picture.
const COLUMNS: usize = 5;

/// Source, mask, painted frame, all answers and the truth over the shot.
pub fn contact_sheet(shot: &Shot, answers: &BTreeMap<Answer, Clip>, report: &ShotReport) -> ContactSheet {
    let shown = spread(shot.format.frames);
    let row = |clip: &[Frame]| shown.iter().map(|i| display(&clip[*i])).collect::<Vec<_>>();
    let painted = shown.iter().map(|i| (*i == 0).then(|| display(shot.painted()))).collect::<Vec<_>>();
    let mut sheet = ContactSheet::new(&format!("lora-edit eval: {}", shot.name()))
        .caption(&caption(report))
        .headings(shown.iter().map(|i| FIRST + *i as i32))
        .row("source", row(&shot.source))
        .row("mask", shown.iter().map(|i| shot.mask[*i].to_rgb()))
        .row_with_gaps("painted", painted);
    let flow = better_flow(report);
    let shown_answers = [
        ("ours", Answer::Ours),
        ("without LoRA", Answer::WithoutLora),
        ("carried", Answer::Carried),
        ("flow", flow),
    ];
    for (label, answer) in shown_answers {
        if let Some(clip) = answers.get(&answer) {
            sheet = sheet.row(label, row(clip));
        }
    }
    sheet = sheet.row("truth", row(&shot.truth));
    match answers.get(&Answer::VaeAlone) {
        Some(clip) => sheet.row("VAE alone", row(clip)),
        None => sheet,
    }
}

fn better_flow(report: &ShotReport) -> Answer {
    let psnr = |answer| report.figures.get(&answer).map_or(0.0, |figures| figures.psnr);
    if psnr(Answer::FlowAccumulated) > psnr(Answer::FlowDirect) {
        Answer::FlowAccumulated
    } else {
        Answer::FlowDirect
    }
}

fn caption(report: &ShotReport) -> String {
    let names = [
        (Answer::Ours, "ours"),
        (Answer::WithoutLora, "without LoRA"),
        (Answer::Carried, "carried alone"),
        (Answer::FlowDirect, "flow direct"),
        (Answer::FlowAccumulated, "flow accumulated"),
        (Answer::FirstHeld, "first frame held"),
        (Answer::NoEdit, "no edit"),
        (Answer::VaeAlone, "VAE alone"),
    ];
    let said = names.iter().filter_map(|(answer, name)| {
        report.figures.get(answer).map(|figures| format!("{name} {:.1} dB", figures.psnr))
    });
    format!("in-mask PSNR: {}", said.collect::<Vec<_>>().join(", "))
}

/// At most [`COLUMNS`] frames, first and last among them.
fn spread(frames: usize) -> Vec<usize> {
    let columns = COLUMNS.min(frames);
    (0..columns).map(|i| i * (frames - 1) / (columns - 1).max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_span_the_shot() {
        assert_eq!(spread(25), [0, 6, 12, 18, 24]);
        assert_eq!(spread(2), [0, 1]);
    }
}
