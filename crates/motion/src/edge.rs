//! A soft edge: the surface, mixed by its mask with what lies behind.
//!
//! Where motion is followed wrongly, or a roto is soft for other reasons, taking one out of the other leaves blots.
//! So either is believed as far as surface and background mix to what the picture shows there.

use std::ops::Range;

use crate::carry::SOLID;
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
/// From this coverage on a pixel shows enough of the surface to say something of it, and all. On 8 `train` shots 0.49 dB; with
/// 0.4..0.8 it is 0.35, without the doubt of [`WRONG`] 0.56.
const SHOWN: Range<f32> = 0.2..0.5;

impl Edge {
    pub fn new(plate: [Plane; 3], mask: Plane) -> Self {
        let clear = mask.mapped(|v| f32::from(v <= 0.0));
        let behind = plate.each_ref().map(|plane| plane.spread(&clear));
        Self { plate, mask, behind }
    }

    /// How far `surface` explains what the plate shows, 0..1.
    pub fn explained_by(&self, surface: &[Plane; 3]) -> Plane {
        self.explained(&self.plate, surface)
    }

    /// The plate's own surface, and the `painted` one of the same frame, up to the outline: what lies behind is taken out of the
    /// edge's pixels. `plate` and `paint` are the two as they go on from the solid surface; they stay where the edge shows
    /// too little.
    pub fn surfaces(&self, painted: &[Plane; 3], plate: &[Plane; 3], paint: &[Plane; 3]) -> [[Plane; 3]; 2] {
        let believed = self.explained_by(plate).with(&self.explained(painted, paint), f32::min);
        [(&self.plate, plate), (painted, paint)].map(|(picture, beyond)| {
            std::array::from_fn(|c| self.taken_out(&believed, &self.behind[c], &picture[c], &beyond[c]))
        })
    }

    fn explained(&self, picture: &[Plane; 3], surface: &[Plane; 3]) -> Plane {
        let mixed = |c: usize, i: usize| {
            let mask = self.mask.data[i].clamp(0.0, 1.0);
            mask * surface[c].data[i] + (1.0 - mask) * self.behind[c].data[i]
        };
        let wrong = |i: usize| {
            let each = (0..3).map(|c| (root(picture[c].data[i]) - root(mixed(c, i))).abs());
            each.fold(0.0, f32::max)
        };
        let believed = |i: usize| 1.0 / (1.0 + (wrong(i) / WRONG).powi(2));
        Plane { data: (0..self.mask.data.len()).map(believed).collect(), ..self.mask }
    }

    fn taken_out(&self, believed: &Plane, behind: &Plane, picture: &Plane, beyond: &Plane) -> Plane {
        let surface = |i: usize| {
            let (mask, beyond) = (self.mask.data[i], beyond.data[i]);
            let part = believed.data[i] * ((mask - SHOWN.start) / (SHOWN.end - SHOWN.start)).clamp(0.0, 1.0);
            // The solid surface is whole, and a mask of NaN says nothing.
            if !(part > 0.0 && mask < SOLID) {
                return beyond;
            }
            let own = (picture.data[i] - (1.0 - mask) * behind.data[i]) / mask;
            beyond + part * (own.max(0.0) - beyond)
        };
        Plane { data: (0..self.mask.data.len()).map(surface).collect(), ..self.mask }
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

    /// Stripes up to an edge of five columns, before a dark background: the outline's own are seen, not the solid surface's last.
    #[test]
    fn a_surface_goes_on_up_to_its_outline_with_its_own_pattern() {
        let mask = Plane::from_fn(40, 30, |x, _| ((x as f32 - 9.0) / 6.0).clamp(0.0, 1.0));
        let solid = mask.mapped(|m| f32::from(m >= SOLID));
        let stripes = |level: f32| Plane::from_fn(40, 30, |_, y| level + 0.08 * (0.9 * y as f32).sin());
        let seen = |level: f32| all(&mask.with(&stripes(level), |m, v| m * v + (1.0 - m) * 0.05));
        let (plate, painted) = (seen(0.5), seen(0.7));
        let edge = Edge::new(plate.clone(), mask.clone());
        let beyond = |level: f32| all(&Plane::filled(40, 30, level));
        let [own, paint] = edge.surfaces(&painted, &beyond(0.5), &beyond(0.7));
        let off = |found: &[Plane; 3], level: f32, x: usize| {
            (0..30).map(|y| (found[1].at(x, y) - stripes(level).at(x, y)).abs()).fold(0.0, f32::max)
        };
        assert!(
            off(&own, 0.5, 13) < 0.02 && off(&paint, 0.7, 13) < 0.02,
            "{} {}",
            off(&own, 0.5, 13),
            off(&paint, 0.7, 13)
        );
        assert_eq!(paint[1].at(10, 10), 0.7, "too little is seen of it");
        assert!(solid.at(20, 10) == 1.0 && paint[1].at(20, 10) == 0.7, "the solid surface stays");
        // Were it another picture's edge, what is found would be anything.
        let [_, wrong] = edge.surfaces(&all(&Plane::filled(40, 30, 0.05)), &beyond(0.5), &beyond(0.7));
        assert!((wrong[1].at(13, 10) - 0.7).abs() < 0.05, "{}", wrong[1].at(13, 10));
    }
}
