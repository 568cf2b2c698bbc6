//! Recoloured variants of the plate, so that an adapter cannot memorise the old look.
//!
//! Not in the paper. Stage 1 shows the network one look only, which a small network can learn by heart; the generated
//! edit would then fall back to the plate's colours. Here the pixels inside the roto pass through random colour maps, the
//! same for all frames of a variant. Motion, shape, light and background stay; the look differs from step to step and
//! can only come from the first frame, as it will in generation. No painted frame is needed: a repainted one still
//! needs no retraining.

use lora_edit_model::flow::NoiseStream;
use lora_edit_shot::Frame;

/// A random map of colours in working code values; pixels of equal colour stay equal.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// `matrix * (colour - 0.5) + offset`: channels mixed, swapped, turned to their negative, shifted.
    Mixed {
        /// Rows make the new channels.
        matrix: [[f32; 3]; 3],
        /// What mid-grey becomes.
        offset: [f32; 3],
    },
    /// Colours read off a palette by brightness.
    Palette {
        /// The weights of brightness.
        brightness: [f32; 3],
        /// The colours at equal distances from dark to light.
        stops: [[f32; 3]; PALETTE_STOPS],
    },
}

/// Enough for bands of different hue, few enough to stay smooth.
const PALETTE_STOPS: usize = 5;

impl Look {
    /// The `index`th look of a seed.
    pub fn draw(seed: u64, index: usize) -> Self {
        let mut dice = NoiseStream::new(seed ^ (index as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93));
        let mut between = |low: f32, high: f32| low + (high - low) * dice.uniform() as f32;
        if index.is_multiple_of(2) {
            let offset = std::array::from_fn(|_| between(0.25, 0.75));
            let matrix = std::array::from_fn(|_| {
                let row: [f32; 3] = std::array::from_fn(|_| between(-1.0, 1.0));
                let gain = between(0.5, 1.4) / row.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-3);
                row.map(|v| v * gain)
            });
            return Self::Mixed { matrix, offset };
        }
        let row: [f32; 3] = std::array::from_fn(|_| between(0.1, 1.0));
        let sum: f32 = row.iter().sum();
        Self::Palette {
            brightness: row.map(|v| v / sum),
            stops: std::array::from_fn(|_| std::array::from_fn(|_| between(0.02, 0.98))),
        }
    }

    /// The new colour of `pixel`, within 0..=1.
    pub fn map(&self, pixel: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Mixed { matrix, offset } => std::array::from_fn(|i| {
                let mixed: f32 = (0..3).map(|j| matrix[i][j] * (pixel[j] - 0.5)).sum();
                (mixed + offset[i]).clamp(0.0, 1.0)
            }),
            Self::Palette { brightness, stops } => {
                let light: f32 = (0..3).map(|i| brightness[i] * pixel[i].clamp(0.0, 1.0)).sum();
                let at = light * (PALETTE_STOPS - 1) as f32;
                let below = (at as usize).min(PALETTE_STOPS - 2);
                let part = at - below as f32;
                std::array::from_fn(|i| stops[below][i] * (1.0 - part) + stops[below + 1][i] * part)
            }
        }
    }

    /// `frame` with this look inside the artist's soft `mask` (one channel), the plate outside.
    pub fn apply(&self, frame: &Frame, mask: &Frame) -> Frame {
        let mut out = frame.clone();
        for (pixel, coverage) in out.data.chunks_exact_mut(frame.channels).zip(&mask.data) {
            if *coverage > 0.0 {
                let new = self.map([pixel[0], pixel[1], pixel[2]]);
                (0..3).for_each(|i| pixel[i] += coverage * (new[i] - pixel[i]));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_of_a_seed_are_many_and_repeatable() {
        for index in 0..8 {
            assert_eq!(Look::draw(3, index), Look::draw(3, index));
            assert_ne!(Look::draw(3, index), Look::draw(3, index + 1));
            assert_ne!(Look::draw(3, index), Look::draw(4, index));
        }
    }

    #[test]
    fn colours_stay_in_range_and_change_strongly_on_average() {
        let colours = [[0.1, 0.5, 0.4], [0.8, 0.7, 0.6], [0.2, 0.2, 0.25], [1.3, -0.2, 0.5]];
        let mut moved = 0.0;
        for index in 0..40 {
            for colour in colours {
                let new = Look::draw(1, index).map(colour);
                assert!(new.iter().all(|v| (0.0..=1.0).contains(v)), "{new:?}");
                moved += (0..3).map(|i| (new[i] - colour[i]).abs()).sum::<f32>() / 3.0;
            }
        }
        assert!(moved / 160.0 > 0.2, "mean change {}", moved / 160.0);
    }

    #[test]
    fn the_plate_outside_the_mask_is_untouched_and_the_edge_blends() {
        let frame = Frame::filled(3, 1, &[0.2, 0.4, 0.6]);
        let mask = Frame::from_data(3, 1, 1, vec![0.0, 0.5, 1.0]).unwrap();
        let (look, plate) = (Look::draw(9, 0), [0.2, 0.4, 0.6]);
        let (out, new) = (look.apply(&frame, &mask), look.map(plate));
        assert_eq!(out.pixel(0, 0), plate);
        for i in 0..3 {
            assert!((out.pixel(1, 0)[i] - 0.5 * (plate[i] + new[i])).abs() < 1e-6);
            assert!((out.pixel(2, 0)[i] - new[i]).abs() < 1e-6);
        }
    }
}
