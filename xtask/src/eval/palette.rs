//! Colours, in display code values.

use super::geometry::mix;
use super::seeds::Rng;

/// Red, green and blue.
pub type Rgb = [f32; 3];

/// Triples as photographs have them: dark, middle, light.
const NATURAL: [[Rgb; 3]; 8] = [
    [[0.20, 0.16, 0.13], [0.46, 0.38, 0.30], [0.72, 0.64, 0.53]], // earth
    [[0.13, 0.19, 0.10], [0.32, 0.42, 0.20], [0.62, 0.66, 0.38]], // leaves
    [[0.22, 0.25, 0.29], [0.45, 0.49, 0.53], [0.74, 0.76, 0.77]], // slate
    [[0.36, 0.19, 0.14], [0.60, 0.35, 0.26], [0.82, 0.58, 0.46]], // brick
    [[0.42, 0.35, 0.26], [0.68, 0.60, 0.46], [0.88, 0.83, 0.72]], // sand
    [[0.16, 0.22, 0.31], [0.33, 0.44, 0.55], [0.66, 0.74, 0.80]], // denim
    [[0.26, 0.24, 0.22], [0.55, 0.53, 0.49], [0.83, 0.81, 0.76]], // concrete
    [[0.30, 0.22, 0.29], [0.54, 0.42, 0.50], [0.80, 0.71, 0.74]], // heather
];

/// Dark, middle and light of a natural material, a little varied.
pub fn natural(rng: &mut Rng) -> [Rgb; 3] {
    let mut palette = rng.pick(&NATURAL);
    let tint: Rgb = std::array::from_fn(|_| rng.range(-0.05, 0.05));
    for colour in &mut palette {
        *colour = std::array::from_fn(|i| (colour[i] + tint[i]).clamp(0.03, 0.95));
    }
    palette
}

/// A clear colour: any hue, rarely pale.
pub fn vivid(rng: &mut Rng) -> Rgb {
    let (hue, saturation, value) = (rng.unit(), rng.range(0.55, 0.95), rng.range(0.35, 0.95));
    of_hue(hue, saturation, value)
}

/// A clear colour that differs from all of `others` by at least 0.8, summed over the channels.
pub fn contrasting(rng: &mut Rng, others: &[Rgb]) -> Rgb {
    let nearest = |colour: Rgb| others.iter().map(|other| distance(colour, *other)).fold(f32::MAX, f32::min);
    let drawn: [Rgb; 12] = std::array::from_fn(|_| vivid(rng));
    let enough = drawn.into_iter().find(|colour| nearest(*colour) > 0.8);
    enough.unwrap_or_else(|| {
        drawn.into_iter().fold(drawn[0], |a, b| if nearest(b) > nearest(a) { b } else { a })
    })
}

/// Hue, saturation and value in 0..1 to a colour.
pub fn of_hue(hue: f32, saturation: f32, value: f32) -> Rgb {
    let ramp = |offset: f32| ((hue * 6.0 + offset).rem_euclid(6.0) - 3.0).abs() - 1.0;
    [ramp(0.0), ramp(4.0), ramp(2.0)].map(|c| value * (1.0 - saturation + saturation * c.clamp(0.0, 1.0)))
}

/// Three stops over 0..1.
pub fn ramp(stops: &[Rgb; 3], t: f32) -> Rgb {
    let t = 2.0 * t.clamp(0.0, 1.0);
    if t < 1.0 { mix(stops[0], stops[1], t) } else { mix(stops[1], stops[2], t - 1.0) }
}

/// Rec. 709 luma.
pub fn luma([r, g, b]: Rgb) -> f32 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn distance(a: Rgb, b: Rgb) -> f32 {
    (0..3).map(|i| (a[i] - b[i]).abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_are_where_they_belong() {
        assert_eq!(of_hue(0.0, 1.0, 1.0), [1.0, 0.0, 0.0]);
        assert_eq!(of_hue(1.0 / 3.0, 1.0, 1.0), [0.0, 1.0, 0.0]);
        assert_eq!(of_hue(0.5, 0.0, 0.6), [0.6; 3]);
    }

    #[test]
    fn contrasting_colours_differ() {
        let grey = [0.5; 3];
        let far = (0..50).filter(|&i| distance(contrasting(&mut Rng::new(i), &[grey]), grey) > 0.8);
        assert!(far.count() >= 45);
    }
}
