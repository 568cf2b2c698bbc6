//! How light changed between two pictures of one surface: a gain for all channels and an offset for each, place by place.
//!
//! `now = gain * before + offset`: shading, exposure and shadows are gains, veils and highlights offsets. Around each
//! pixel both are fitted by least squares with a prior; where the surface shows no pattern, the prior decides which of
//! the two explains the change.

use crate::plane::Plane;

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

impl Light {
    /// Nothing has changed.
    pub fn same(width: usize, height: usize) -> Self {
        let offset = || Plane::filled(width, height, 0.0);
        Self { gain: Plane::filled(width, height, 1.0), offset: std::array::from_fn(|_| offset()) }
    }

    /// Fits the change from `before` to `now`, each pixel counting by `weight`.
    pub fn fitted(&self, fit: &Fit, now: &[Plane; 3], before: &[Plane; 3], weight: &Plane) -> Self {
        let (width, height) = (weight.width, weight.height);
        let weighted = |plane: &Plane| plane.with(weight, |v, w| v * w).blurred(fit.sigma);
        let products = |a: &[Plane; 3], b: &[Plane; 3]| {
            let product = |i: usize| (0..3).map(|c| a[c].data[i] * b[c].data[i]).sum::<f32>();
            Plane { width, height, data: (0..width * height).map(product).collect() }
        };
        let total = weight.blurred(fit.sigma);
        let (now_sums, before_sums) = (now.each_ref().map(weighted), before.each_ref().map(weighted));
        let (crossed, squared) = (weighted(&products(now, before)), weighted(&products(before, before)));
        let square = |v: f32| v * v;
        let gain_prior = square(fit.noise / fit.gain);
        let tint_prior = square(fit.noise / fit.tint);
        let shared = tint_prior * square(fit.offset) / (square(fit.tint) + 3.0 * square(fit.offset));
        let mut out = self.clone();
        for i in 0..width * height {
            let a = total.data[i];
            if a < 1e-4 {
                continue;
            }
            // The offsets' own matrix is `own` on the diagonal less `shared` everywhere.
            let own = a + tint_prior;
            let solved = |v: [f32; 3]| {
                let sum = v.iter().sum::<f32>() * shared / (own - 3.0 * shared);
                v.map(|v| (v + sum) / own)
            };
            let dot = |a: &[f32; 3], b: &[f32; 3]| (0..3).map(|c| a[c] * b[c]).sum::<f32>();
            let prior: [f32; 3] = std::array::from_fn(|c| self.offset[c].data[i]);
            let sums: [f32; 3] = std::array::from_fn(|c| before_sums[c].data[i]);
            let rest: [f32; 3] = std::array::from_fn(|c| now_sums[c].data[i] - a * prior[c]);
            let solved_sums = solved(sums);
            let square = squared.data[i] - dot(&sums, &solved_sums);
            let cross = crossed.data[i] - dot(&prior, &sums) - dot(&rest, &solved_sums);
            let gain = (cross + gain_prior * self.gain.data[i]) / (square.max(0.0) + gain_prior);
            let offset = solved(std::array::from_fn(|c| rest[c] - gain * sums[c]));
            out.gain.data[i] = gain;
            (0..3).for_each(|c| out.offset[c].data[i] = prior[c] + offset[c]);
        }
        out
    }

    /// `before`, as it looks in this light.
    pub fn lit(&self, before: &[Plane; 3]) -> [Plane; 3] {
        std::array::from_fn(|c| {
            let gained = before[c].with(&self.gain, |v, gain| v * gain);
            gained.with(&self.offset[c], |v, offset| v + offset)
        })
    }
}
