//! Whether a soft edge is what it is taken for: the surface, mixed by its mask with what lies behind.
//!
//! Where motion is followed wrongly, or a roto is soft for other reasons, taking the surface out of the plate leaves blots.
//! So it is believed as far as surface and background mix to what the plate shows there.

use crate::plane::{Plane, root};

/// A plate's edge, in scene-linear light.
pub(crate) struct Edge {
    plate: [Plane; 3],
    mask: Plane,
    /// The plate where the mask is 0, and what is around that beyond.
    behind: [Plane; 3],
}

/// What the mix may be wrong by in root light until it is half believed. 0.05 loses 0.05 dB more of what the edge gains
/// on 16 `train` shots, 0.2 leaves more blots.
const WRONG: f32 = 0.1;

impl Edge {
    pub fn new(plate: [Plane; 3], mask: Plane) -> Self {
        let clear = mask.mapped(|v| f32::from(v <= 0.0));
        let behind = plate.each_ref().map(|plane| plane.spread(&clear));
        Self { plate, mask, behind }
    }

    /// How far `surface` explains what the plate shows, 0..1.
    pub fn explained_by(&self, surface: &[Plane; 3]) -> Plane {
        let mixed = |c: usize, i: usize| {
            let mask = self.mask.data[i].clamp(0.0, 1.0);
            mask * surface[c].data[i] + (1.0 - mask) * self.behind[c].data[i]
        };
        let wrong = |i: usize| {
            let each = (0..3).map(|c| (root(self.plate[c].data[i]) - root(mixed(c, i))).abs());
            each.fold(0.0, f32::max)
        };
        let believed = |i: usize| 1.0 / (1.0 + (wrong(i) / WRONG).powi(2));
        Plane { data: (0..self.mask.data.len()).map(believed).collect(), ..self.mask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(plane: &Plane) -> [Plane; 3] {
        std::array::from_fn(|_| plane.clone())
    }

    /// A bright surface that fades into a dark background over ten columns.
    #[test]
    fn the_right_surface_explains_a_soft_edge_and_a_wrong_one_does_not() {
        let mask = Plane::from_fn(40, 30, |x, _| (x as f32 / 10.0 - 1.0).clamp(0.0, 1.0));
        let plate = mask.mapped(|m| m * 0.8 + (1.0 - m) * 0.05);
        let edge = Edge::new(all(&plate), mask);
        let at = |surface: f32| edge.explained_by(&all(&Plane::filled(40, 30, surface))).at(15, 15);
        assert!(at(0.8) > 0.98 && at(0.75) > 0.9, "{} {}", at(0.8), at(0.75));
        assert!(at(0.1) < 0.1, "{}", at(0.1));
        let outside = edge.explained_by(&all(&Plane::filled(40, 30, 0.1))).at(3, 15);
        assert!(outside > 0.99, "nothing of it is seen there: {outside}");
    }
}
