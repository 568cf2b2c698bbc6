//! A picture of a surface at several sizes, and how it looks through a motion.

use crate::field::Field;
use crate::lanes::Lanes;
use crate::plane::Plane;
use crate::spline::Spline;

/// A picture of the surface at one level of a pyramid.
#[derive(Debug, Clone)]
pub struct View {
    /// Working code values, going on beyond the mask's edge.
    pub colour: [Plane; 3],
    /// How much of a pixel shows the surface, 0..1.
    pub solid: Plane,
    /// What a registration of this view may move: the surface and a little round it.
    pub(crate) domain: Plane,
    /// The four together, to be sampled.
    spline: Spline,
}

/// A picture from fine to coarse.
#[derive(Debug, Clone)]
pub struct Pyramid(pub(crate) Vec<View>);

/// Levels stop where the surface would be smaller than this: the side of a square of its area, in pixels.
const LEAST_EXTENT: f32 = 12.0;

fn extent(solid: &Plane) -> f32 {
    solid.data.iter().sum::<f32>().sqrt()
}

impl View {
    /// Of colours that go on beyond the mask's edge, and the mask.
    pub fn new(colour: [Plane; 3], solid: Plane) -> Self {
        let spline = Spline::of(&[&colour[0], &colour[1], &colour[2], &solid]);
        let domain = solid.blurred(1.5).mapped(|v| f32::from(v > 0.02));
        Self { colour, solid, domain, spline }
    }
}

impl Pyramid {
    /// Of colours that go on beyond the mask's edge, and the mask.
    pub fn of(colour: [Plane; 3], solid: Plane) -> Self {
        let levels = (extent(&solid) / LEAST_EXTENT).log2().floor().max(0.0) as usize + 1;
        Self::halving(View::new(colour, solid), levels)
    }

    fn halving(finest: View, levels: usize) -> Self {
        let half = |view: &View| {
            Some(View::new(std::array::from_fn(|c| view.colour[c].halved()), view.solid.halved()))
        };
        Self(std::iter::successors(Some(finest), half).take(levels).collect())
    }

    /// Of the surface's outline alone, for motions that its colours do not tell.
    pub fn outline(&self) -> Self {
        let solid = &self.0[0].solid;
        let everywhere = Plane::filled(solid.width, solid.height, 1.0);
        let soft = solid.blurred(1.0);
        let view = View::new([soft.clone(), soft.clone(), soft], everywhere);
        Self::halving(view, self.0.len())
    }

    /// The picture itself.
    pub fn finest(&self) -> &View {
        &self.0[0]
    }
}

/// A picture seen through a field.
pub struct Warped {
    /// Its colours.
    pub colour: [Plane; 3],
    /// How much of each pixel shows its surface.
    pub solid: Plane,
}

impl View {
    /// This picture as seen where `field` finds each pixel, over an exposure where there is one.
    pub fn through(&self, field: &Field, smear: Option<&Smear>) -> Warped {
        self.looked(|_| true, field, smear)
    }

    /// The same, black and of no surface where `domain` is 0.
    pub(crate) fn within(&self, domain: &Plane, field: &Field, smear: Option<&Smear>) -> Warped {
        self.looked(|i| domain.data[i] > 0.0, field, smear)
    }

    fn looked(&self, wanted: impl Fn(usize) -> bool + Sync, field: &Field, smear: Option<&Smear>) -> Warped {
        let (width, height) = (field.x.width, field.x.height);
        let pixels = Lanes::from_fn(width, height, |i, x, y| {
            let at = field.position(x, y);
            match smear {
                _ if !wanted(i) => [0.0; 4],
                None => self.seen(at),
                Some(smear) => self.smeared(at, &smear.path, i),
            }
        });
        let [r, g, b, solid] = pixels.planes();
        Warped { colour: [r, g, b], solid: solid.mapped(|v| v.clamp(0.0, 1.0)) }
    }

    fn seen(&self, [x, y]: [f32; 2]) -> [f32; 4] {
        let mut pixel = self.spline.at(x, y);
        let (right, bottom) = ((self.solid.width - 1) as f32, (self.solid.height - 1) as f32);
        if x < 0.0 || y < 0.0 || x > right || y > bottom {
            pixel[3] = 0.0;
        }
        pixel
    }

    fn smeared(&self, [x, y]: [f32; 2], path: &Field, i: usize) -> [f32; 4] {
        let (dx, dy) = (path.x.data[i], path.y.data[i]);
        if dx.abs().max(dy.abs()) < 0.25 {
            return self.seen([x, y]);
        }
        let mut sum = [0.0; 4];
        for place in 0..PLACES {
            let part = (place as f32 + 0.5) / PLACES as f32 - 0.5;
            let seen = self.seen([x + part * dx, y + part * dy]);
            (0..4).for_each(|c| sum[c] += seen[c] / PLACES as f32);
        }
        sum
    }
}

/// Motion blur: during the exposure a pixel sees the places round its own, along this field.
#[derive(Debug, Clone)]
pub struct Smear {
    /// From the first place to the last.
    pub path: Field,
}

/// Places of an exposure.
const PLACES: usize = 9;

impl Smear {
    pub(crate) fn at_level(&self, level: usize) -> Self {
        Self { path: (0..level).fold(self.path.clone(), |path, _| path.halved()) }
    }
}
