//! How light changed between two pictures of one surface: a gain for all channels and an offset for each, place by place.
//!
//! `now = gain * before + offset`: shading, exposure and shadows are gains, veils and highlights offsets. Around each
//! pixel both are fitted by least squares with a prior; where the surface shows no pattern, the prior decides which of
//! the two explains the change. Where a gain alone explains it, there are no offsets: [`Light::unless`].

use crate::lanes::Lanes;
use crate::plane::{Plane, root};

/// Gain and offsets, place by place.
#[derive(Debug, Clone)]
pub struct Light {
    /// For all channels.
    pub gain: Plane,
    /// For each channel.
    pub offset: [Plane; 3],
}

/// How a fit is made.
#[derive(Debug, Clone, Copy)]
pub struct Fit {
    /// Standard deviation of the window, in pixels.
    pub sigma: f32,
    /// What a pixel's value is uncertain by.
    pub noise: f32,
    /// What the gain may differ from the prior's by.
    pub gain: f32,
    /// What the offset of all channels may differ from the prior's by.
    pub offset: f32,
    /// What a channel's offset may differ from that by: veils and highlights are nearly grey, so that on a coloured
    /// surface they are told from shading even where it shows no pattern.
    pub tint: f32,
}

impl Fit {
    /// The same fit with hardly any offset.
    pub const fn of_gain(self) -> Self {
        Self { offset: 0.01 * self.offset, tint: 0.01 * self.tint, ..self }
    }
}

/// A change from `before` to `now`, in scene-linear light; each pixel counts by `weight`.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// The surface as it looks now.
    pub now: &'a [Plane; 3],
    /// As it looked before, at the same place.
    pub before: &'a [Plane; 3],
    /// Of each pixel.
    pub weight: &'a Plane,
}

impl Change<'_> {
    /// How far a light is from explaining the change around each pixel: the mean square in root light.
    fn unexplained_by(&self, light: &Light) -> Plane {
        let lit = light.lit(self.before);
        let square = |i: usize| {
            (0..3).map(|c| (root(self.now[c].data[i]) - root(lit[c].data[i])).powi(2)).sum::<f32>()
        };
        let sums = Lanes::from_fn(self.weight.width, self.weight.height, |i, _, _| {
            let weight = self.weight.data[i];
            [weight, weight * square(i) / 3.0]
        });
        let [weight, square] = sums.blurred(AROUND).planes();
        square.with(&weight, |square, weight| square / weight.max(1e-6))
    }
}

/// Standard deviation of the surroundings in which two lights are compared, in pixels.
const AROUND: f32 = 6.0;
/// Root light that no light explains: noise, and what motion is wrong by.
const UNEXPLAINED: f32 = 0.003;
/// Logarithm of mean squares by which the richer light must be better to count half, and how softly.
///
/// On 9 `train` shots of 384x224 with what changes most, carried paint alone: 0.05 dB over 0.3 and 0.1, 0.18 over 1.0 and 0.3.
/// Against offsets everywhere it was 0.5 dB in the mean of 16 shots.
const BETTER: [f32; 2] = [0.6, 0.2];

impl Light {
    /// Nothing has changed.
    pub fn same(width: usize, height: usize) -> Self {
        let offset = || Plane::filled(width, height, 0.0);
        Self { gain: Plane::filled(width, height, 1.0), offset: std::array::from_fn(|_| offset()) }
    }

    /// Fits `change`, near this light.
    pub fn fitted(&self, fit: &Fit, &Change { now, before, weight }: &Change<'_>) -> Self {
        let (width, height) = (weight.width, weight.height);
        let sums = Lanes::from_fn(width, height, |i, _, _| {
            let w = weight.data[i];
            let [now, before] = [now, before].map(|colour| [0, 1, 2].map(|c| colour[c].data[i]));
            let [n, b] = [now, before].map(|colour| colour.map(|v| w * v));
            [w, n[0], n[1], n[2], b[0], b[1], b[2], w * dot(&now, &before), w * dot(&before, &before)]
        });
        let sums = sums.blurred(fit.sigma);
        let priors = Priors::of(fit);
        let found = Lanes::from_fn(width, height, |i, _, _| {
            let own =
                [&self.gain, &self.offset[0], &self.offset[1], &self.offset[2]].map(|plane| plane.data[i]);
            if sums.at(i)[0] < 1e-4 { own } else { priors.solved(sums.at(i), own) }
        });
        let [gain, r, g, b] = found.planes();
        Self { gain, offset: [r, g, b] }
    }

    /// This light, unless `richer` explains the change better: around each pixel for itself.
    ///
    /// Offsets that are not needed take part of a shadow for a veil. On the plate the two look alike, on paint of another
    /// brightness they do not.
    pub fn unless(mut self, richer: &Self, change: &Change<'_>) -> Self {
        let [own, other] = [&self, richer].map(|light| change.unexplained_by(light));
        let part = own.with(&other, |own, other| {
            let floor = UNEXPLAINED * UNEXPLAINED;
            let better = ((own + floor) / (other + floor)).ln();
            1.0 / (1.0 + ((BETTER[0] - better) / BETTER[1]).exp())
        });
        let mix = |own: &mut Plane, other: &Plane| {
            let both = own.data.iter_mut().zip(&other.data).zip(&part.data);
            both.for_each(|((own, other), part)| *own += part * (other - *own));
        };
        mix(&mut self.gain, &richer.gain);
        self.offset.iter_mut().zip(&richer.offset).for_each(|(own, other)| mix(own, other));
        self
    }

    /// `before`, as it looks in this light.
    pub fn lit(&self, before: &[Plane; 3]) -> [Plane; 3] {
        std::array::from_fn(|c| {
            let changed = before[c].data.iter().zip(&self.gain.data).zip(&self.offset[c].data);
            Plane { data: changed.map(|((v, gain), offset)| v * gain + offset).collect(), ..before[c] }
        })
    }
}

/// What a fit's priors weigh beside the pixels.
struct Priors {
    gain: f32,
    tint: f32,
    /// The offsets' own matrix is a diagonal less this everywhere.
    shared: f32,
}

impl Priors {
    fn of(fit: &Fit) -> Self {
        let square = |v: f32| v * v;
        let tint = square(fit.noise / fit.tint);
        let shared = tint * square(fit.offset) / (square(fit.tint) + 3.0 * square(fit.offset));
        Self { gain: square(fit.noise / fit.gain), tint, shared }
    }

    /// Gain and offsets from the sums of a pixel's surroundings, near its `own` so far.
    fn solved(&self, sums: &[f32; 9], [gain, r, g, b]: [f32; 4]) -> [f32; 4] {
        let &[total, n0, n1, n2, b0, b1, b2, crossed, squared] = sums;
        let (prior, now, before) = ([r, g, b], [n0, n1, n2], [b0, b1, b2]);
        let own = total + self.tint;
        let (part, spread) = (1.0 / own, self.shared / (own - 3.0 * self.shared));
        let offsets = |v: [f32; 3]| {
            let sum = v.iter().sum::<f32>() * spread;
            v.map(|v| (v + sum) * part)
        };
        let rest: [f32; 3] = std::array::from_fn(|c| now[c] - total * prior[c]);
        let solved = offsets(before);
        let square = squared - dot(&before, &solved);
        let cross = crossed - dot(&prior, &before) - dot(&rest, &solved);
        let gain = (cross + self.gain * gain) / (square.max(0.0) + self.gain);
        let offset = offsets(std::array::from_fn(|c| rest[c] - gain * before[c]));
        [gain, r + offset[0], g + offset[1], b + offset[2]]
    }
}

fn dot(a: &[f32; 3], b: &[f32; 3]) -> f32 {
    (0..3).map(|c| a[c] * b[c]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: Fit = Fit { sigma: 4.0, noise: 0.01, gain: 0.5, offset: 0.2, tint: 0.005 };

    fn changed(before: &[Plane; 3], gain: f32, veil: f32) -> [Plane; 3] {
        before.each_ref().map(|plane| plane.mapped(|v| gain * v + veil))
    }

    fn fitted(before: &[Plane; 3], gain: f32, veil: f32) -> [f32; 4] {
        let weight = Plane::filled(48, 40, 1.0);
        let change = Change { now: &changed(before, gain, veil), before, weight: &weight };
        let light = Light::same(48, 40).fitted(&FIT, &change);
        let [r, g, b] = light.offset.each_ref().map(|plane| plane.at(24, 20));
        [light.gain.at(24, 20), r, g, b]
    }

    #[test]
    fn gain_and_veil_are_told_apart_by_the_pattern() {
        let pattern = [0.9f32, 1.7, 0.6].map(|a| {
            Plane::from_fn(48, 40, |x, y| 0.3 + 0.2 * (a * x as f32).sin() * (0.8 * y as f32).cos())
        });
        let found = fitted(&pattern, 0.7, 0.08);
        assert!((found[0] - 0.7).abs() < 0.01, "{found:?}");
        assert!(found[1..].iter().all(|offset| (offset - 0.08).abs() < 0.01), "{found:?}");
    }

    #[test]
    fn on_a_flat_coloured_surface_a_grey_veil_is_told_from_shading() {
        let flat = [0.6, 0.2, 0.1].map(|v| Plane::filled(48, 40, v));
        let (veil, shade) = (fitted(&flat, 1.0, 0.1), fitted(&flat, 0.6, 0.0));
        assert!((veil[0] - 1.0).abs() < 0.05 && (veil[1] - 0.1).abs() < 0.02, "{veil:?}");
        assert!((shade[0] - 0.6).abs() < 0.05 && shade[1].abs() < 0.02, "{shade:?}");
    }

    #[test]
    fn where_nothing_is_seen_the_light_so_far_stays() {
        let flat = [0.6, 0.2, 0.1].map(|v| Plane::filled(60, 40, v));
        let seen = Plane::from_fn(60, 40, |x, _| f32::from(x < 20));
        let prior = Light {
            gain: Plane::filled(60, 40, 1.3),
            offset: [0.1, 0.2, 0.3].map(|v| Plane::filled(60, 40, v)),
        };
        let change = Change { now: &changed(&flat, 0.5, 0.0), before: &flat, weight: &seen };
        let light = prior.fitted(&FIT, &change);
        let there = [&light.gain, &light.offset[0], &light.offset[1], &light.offset[2]].map(|p| p.at(50, 20));
        assert_eq!(there, [1.3, 0.1, 0.2, 0.3]);
        let lit = light.lit(&flat);
        assert!((lit[0].at(8, 20) - 0.3).abs() < 0.01, "{}", lit[0].at(8, 20));
    }

    /// A shadow falls on the left half of a nearly grey pattern, a veil on the right.
    #[test]
    fn offsets_are_there_only_where_a_gain_does_not_explain_the_change() {
        let wave = |x: usize, y: usize| (0.9 * x as f32).sin() * (0.8 * y as f32).cos();
        let before = [0.3, 0.29, 0.28].map(|v| Plane::from_fn(96, 40, |x, y| v + 0.04 * wave(x, y)));
        let now = before.each_ref().map(|plane| {
            Plane::from_fn(96, 40, |x, y| if x < 48 { 0.6 * plane.at(x, y) } else { plane.at(x, y) + 0.1 })
        });
        let change = Change { now: &now, before: &before, weight: &Plane::filled(96, 40, 1.0) };
        let [gain, both] = [FIT.of_gain(), FIT].map(|fit| Light::same(96, 40).fitted(&fit, &change));
        let light = gain.unless(&both, &change);
        let at = |light: &Light, x: usize| [light.gain.at(x, 20), light.offset[1].at(x, 20)];
        let ([shadow, veil], loose) = ([20, 76].map(|x| at(&light, x)), at(&both, 20));
        assert!((shadow[0] - 0.6).abs() < 0.01 && shadow[1].abs() < 0.002, "{shadow:?}");
        assert!((shadow[0] - 0.6).abs() < 0.2 * (loose[0] - 0.6).abs(), "{shadow:?} {loose:?}");
        assert!((veil[0] - 1.0).abs() < 0.1 && (veil[1] - 0.1).abs() < 0.03, "{veil:?}");
    }
}
