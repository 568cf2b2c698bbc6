//! The curve of a training's losses, as numbers and as a picture.

use lora_edit_adapt::HeldBack;
use lora_edit_shot::Frame;
use lora_edit_shot::plot::{Labels, Series, lines};

/// `step,loss,held_back` lines, steps from 1; the last column is empty where it was not measured.
pub(crate) fn csv(losses: &[f32], held_back: &[HeldBack]) -> String {
    let mut measured = held_back.iter().peekable();
    let line = |(step, loss): (usize, &f32)| match measured.next_if(|measured| measured.step == step) {
        Some(measured) => format!("{step},{loss},{}\n", measured.loss),
        None => format!("{step},{loss},\n"),
    };
    std::iter::once("step,loss,held_back\n".to_string()).chain((1..).zip(losses).map(line)).collect()
}

/// The losses in a file of [`csv`]; columns after the second are passed over.
pub(crate) fn parse(csv: &str) -> Vec<f32> {
    csv.lines().skip(1).filter_map(|line| line.split(',').nth(1)?.parse().ok()).collect()
}

/// The loss pale, its running mean and the held-back loss bright.
pub(crate) fn picture(losses: &[f32], held_back: &[HeldBack]) -> Frame {
    let loss = Series::new("loss", (1..).zip(losses).map(|(step, &loss)| (f64::from(step), f64::from(loss))));
    let mean = loss.smoothed("mean", (losses.len() / 12).clamp(3, 50));
    let measured = held_back.iter().map(|&HeldBack { step, loss }| (step as f64, f64::from(loss)));
    let mut series = vec![loss.pale(), mean];
    if !held_back.is_empty() {
        series.push(Series::new("held back", measured));
    }
    let labels = Labels { title: "training loss".into(), x: "step".into(), y: "loss".into() };
    lines(&labels, &series, 720, 360)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_survive_the_file() {
        let losses = [0.5, 0.125, 1e-7];
        let held_back = [HeldBack { step: 2, loss: 0.75 }];
        let text = csv(&losses, &held_back);
        assert_eq!(text, "step,loss,held_back\n1,0.5,\n2,0.125,0.75\n3,0.0000001,\n");
        assert_eq!(parse(&text), losses);
        assert_eq!(parse("step,loss\n1,0.5\n"), [0.5]);
    }

    #[test]
    fn the_held_back_loss_is_drawn() {
        let losses = [0.5, 0.4, 0.3];
        let both = [HeldBack { step: 1, loss: 0.9 }, HeldBack { step: 3, loss: 0.1 }];
        assert_ne!(picture(&losses, &both), picture(&losses, &[]));
    }
}
