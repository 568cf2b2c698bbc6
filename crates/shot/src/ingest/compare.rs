//! Whether a painted frame is in the space it is said to be in: outside the mask it must equal the plate.

use crate::colour::{self, ColourSpace, WorkingSpace};
use crate::frame::Frame;
use crate::package::ShotFrame;

/// Mean difference of code values that a painting's own compression and grain explain.
const QUIET: f32 = 0.02;
/// Fewer pixels than this outside the mask say nothing.
const LEAST_PIXELS: usize = 64;

/// A line for the user when the painted frame (working size, in `space`) differs from the plate outside the
/// mask by more than noise. The plate is in working code values.
pub(super) fn warning(
    plate: &ShotFrame,
    painted: &Frame,
    space: ColourSpace,
    working: WorkingSpace,
) -> Option<String> {
    let found = difference(plate, painted, space, working).filter(|&found| found > QUIET)?;
    let frame = plate.number;
    let mut line = format!("edited frame {frame} differs from the plate outside the mask by {found:.3}");
    let other = match space {
        ColourSpace::Linear => (ColourSpace::Srgb, "srgb"),
        ColourSpace::Srgb => (ColourSpace::Linear, "linear"),
    };
    match difference(plate, painted, other.0, working) {
        Some(other_found) if other_found < 0.5 * found => {
            line += &format!(": its colour space looks like {}", other.1);
        }
        _ => line += ": is it the right frame, in the right colour space?",
    }
    Some(line)
}

/// Mean absolute difference of working code values where nothing is generated; `None` if that is nowhere.
fn difference(plate: &ShotFrame, painted: &Frame, space: ColourSpace, working: WorkingSpace) -> Option<f32> {
    let pixels = plate.source.data.chunks_exact(3).zip(painted.data.chunks_exact(3));
    let outside = pixels.zip(&plate.generation_mask.data).filter(|(_, mask)| **mask == 0.0);
    let (mut sum, mut count) = (0f64, 0usize);
    for ((plate, painted), _) in outside {
        for (a, b) in plate.iter().zip(painted) {
            let code = colour::to_working(space, working, *b).clamp(0.0, 1.0);
            sum += f64::from((a - code).abs());
        }
        count += 1;
    }
    (count >= LEAST_PIXELS).then(|| (sum / (3 * count) as f64) as f32)
}
