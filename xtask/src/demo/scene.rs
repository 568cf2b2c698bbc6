//! Procedural shots: a badge that moves over a background that does too, as filmed and as it would have been
//! filmed had the badge been painted differently (the truth).

use lora_edit_shot::Frame;

/// Picture size of the demo's plates, in pixels.
pub const SIZE: [usize; 2] = [320, 192];
/// Sub-samples per pixel and axis: enough that edges and mask are antialiased alike.
const SUPERSAMPLE: usize = 3;
const RADIUS: f32 = 52.0;

/// One instant of the shot, everything in display-like sRGB code values.
pub struct Instant {
    /// The plate as filmed, RGB.
    pub source: Frame,
    /// Coverage of the badge, one channel.
    pub mask: Frame,
    /// The same instant with the repainted badge, RGB.
    pub truth: Frame,
}

/// Where the badge is and how it stands at one instant.
struct Pose {
    centre: [f32; 2],
    angle: f32,
    scale: f32,
}

/// How badge and camera move over a shot.
#[derive(Clone, Copy)]
pub struct Motion {
    /// What the motion is called in tables.
    pub name: &'static str,
    /// The badge's centre at first, in pixels.
    start: [f32; 2],
    /// How far it travels.
    travel: [f32; 2],
    /// How far it sways up and down.
    sway: f32,
    /// By how many radians it turns.
    turn: f32,
    /// By how much of its size it grows.
    growth: f32,
    /// How far the camera pans.
    pan: [f32; 2],
    /// By how many radians it rolls.
    roll: f32,
}

impl Motion {
    /// The demo's: the badge travels and turns, the camera pans.
    pub const TRAVEL: Self = Self {
        name: "travels and turns",
        start: [112.0, 108.0],
        travel: [84.0, -24.0],
        sway: 5.0,
        turn: 0.9,
        growth: 0.08,
        pan: [34.0, -8.0],
        roll: 0.05,
    };
    /// It turns where it is, before a camera at rest.
    pub const TURN: Self = Self {
        name: "turns in place",
        start: [156.0, 98.0],
        travel: [8.0, -4.0],
        sway: 0.0,
        turn: 1.6,
        growth: 0.0,
        pan: [0.0; 2],
        roll: 0.0,
    };
    /// It comes nearer and goes to the left, the camera with it.
    pub const APPROACH: Self = Self {
        name: "comes nearer",
        start: [176.0, 94.0],
        travel: [-36.0, 4.0],
        sway: 3.0,
        turn: -0.3,
        growth: 0.45,
        pan: [-24.0, 5.0],
        roll: -0.03,
    };
    /// Every motion there is.
    pub const ALL: [Self; 3] = [Self::TRAVEL, Self::TURN, Self::APPROACH];
}

impl Pose {
    /// `u` runs from 0 to 1 over the shot.
    fn at(motion: &Motion, u: f32) -> Self {
        let ease = u * u * (3.0 - 2.0 * u);
        let [x, y] = motion.start;
        let rise = motion.travel[1] * ease + motion.sway * (u * 6.0).sin();
        Self {
            centre: [x + motion.travel[0] * u, y + rise],
            angle: motion.turn * u,
            scale: 1.0 + motion.growth * u,
        }
    }

    /// Picture position to badge coordinates, where the badge is the unit disc.
    fn local(&self, x: f32, y: f32) -> [f32; 2] {
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let (sin, cos) = self.angle.sin_cos();
        let reach = RADIUS * self.scale;
        [(cos * dx + sin * dy) / reach, (cos * dy - sin * dx) / reach]
    }
}

/// Renders the instant `u` in 0..=1 of a shot.
pub fn render(motion: &Motion, u: f32) -> Instant {
    let [width, height] = SIZE;
    let mut instant = Instant {
        source: Frame::new(width, height, 3),
        mask: Frame::new(width, height, 1),
        truth: Frame::new(width, height, 3),
    };
    let pose = Pose::at(motion, u);
    for y in 0..height {
        for x in 0..width {
            let sample = pixel(&pose, motion, u, x, y);
            instant.source.pixel_mut(x, y).copy_from_slice(&sample.source);
            instant.truth.pixel_mut(x, y).copy_from_slice(&sample.truth);
            instant.mask.pixel_mut(x, y)[0] = sample.coverage;
        }
    }
    instant
}

struct Sample {
    source: [f32; 3],
    truth: [f32; 3],
    coverage: f32,
}

fn pixel(pose: &Pose, motion: &Motion, u: f32, x: usize, y: usize) -> Sample {
    let mut sum = Sample { source: [0.0; 3], truth: [0.0; 3], coverage: 0.0 };
    let weight = 1.0 / (SUPERSAMPLE * SUPERSAMPLE) as f32;
    for index in 0..SUPERSAMPLE * SUPERSAMPLE {
        let offset = |i: usize| (i as f32 + 0.5) / SUPERSAMPLE as f32;
        let px = x as f32 + offset(index % SUPERSAMPLE);
        let py = y as f32 + offset(index / SUPERSAMPLE);
        let local = pose.local(px, py);
        let inside = local[0].hypot(local[1]) < 1.0;
        let behind = background(px, py, motion, u);
        let (source, truth) =
            if inside { (badge(local, false), badge(local, true)) } else { (behind, behind) };
        for channel in 0..3 {
            sum.source[channel] += weight * source[channel];
            sum.truth[channel] += weight * truth[channel];
        }
        sum.coverage += if inside { weight } else { 0.0 };
    }
    // Nine times a ninth is not quite one; the composite wants exact ends.
    sum.coverage = (sum.coverage * 1000.0).round() / 1000.0;
    sum
}

/// A mottled wall with soft vertical panels, panned and slowly rolled by the camera.
fn background(x: f32, y: f32, motion: &Motion, u: f32) -> [f32; 3] {
    let (sin, cos) = (motion.roll * u).sin_cos();
    let (cx, cy) = (x - 160.0, y - 96.0);
    let [px, py] = motion.pan.map(|pan| pan * u);
    let (wx, wy) = (cos * cx - sin * cy + px, sin * cx + cos * cy + py);
    let mottle = fractal(wx * 0.022, wy * 0.022, 11);
    let panel = 0.5 + 0.5 * (wx * 0.055).sin();
    mix([0.24, 0.30, 0.36], [0.62, 0.60, 0.52], 0.7 * mottle + 0.3 * panel)
}

/// The badge's paint at unit-disc coordinates; the edit repaints its upper field and its bar.
fn badge([x, y]: [f32; 2], edited: bool) -> [f32; 3] {
    let grain = fractal(x * 2.2, y * 2.2, 5);
    if x.hypot(y) > 0.86 {
        return mix([0.12, 0.12, 0.15], [0.28, 0.27, 0.30], grain);
    }
    if (-0.24..0.24).contains(&y) {
        return if edited { [0.97, 0.93, 0.30] } else { [0.20, 0.33, 0.24] };
    }
    if y < 0.0 {
        let lit = mix([0.30, 0.52, 0.42], [0.42, 0.62, 0.50], grain);
        let repainted = mix([0.80, 0.10, 0.42], [0.95, 0.28, 0.55], grain);
        return if edited { repainted } else { lit };
    }
    mix([0.70, 0.66, 0.56], [0.88, 0.84, 0.74], grain)
}

fn mix(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t)
}

/// Three octaves of value noise, about 0..1.
fn fractal(x: f32, y: f32, seed: u32) -> f32 {
    (0..3u32)
        .map(|o| value_noise(x * (1 << o) as f32, y * (1 << o) as f32, seed + o) * 0.57 / (1 << o) as f32)
        .sum()
}

fn value_noise(x: f32, y: f32, seed: u32) -> f32 {
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (ix, iy) = (x.floor(), y.floor());
    let (fx, fy) = (smooth(x - ix), smooth(y - iy));
    let corner = |dx: i32, dy: i32| lattice(ix as i32 + dx, iy as i32 + dy, seed);
    let top = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * fx;
    let bottom = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * fx;
    top + (bottom - top) * fy
}

/// A value in 0..1 that depends on the lattice point alone (integer mixing by odd multipliers).
fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343)
        ^ (y as u32).wrapping_mul(0xd816_3841)
        ^ seed.wrapping_mul(0xcb1a_b31f);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    ((h ^ (h >> 15)) >> 8) as f32 / (1u32 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edit_changes_the_badge_and_nothing_else() {
        for motion in Motion::ALL {
            let instant = render(&motion, 0.4);
            let mut changed = 0;
            for y in 0..SIZE[1] {
                for x in 0..SIZE[0] {
                    let differs = instant.source.pixel(x, y) != instant.truth.pixel(x, y);
                    assert!(
                        !differs || instant.mask.pixel(x, y)[0] > 0.0,
                        "({x}, {y}) changed outside the mask"
                    );
                    changed += usize::from(differs);
                }
            }
            assert!(changed > 1500, "the edit repaints {changed} pixels only");
        }
    }

    #[test]
    fn the_badge_stays_in_the_picture() {
        for motion in Motion::ALL {
            for u in [0.0, 0.25, 0.5, 0.75, 1.0] {
                let pose = Pose::at(&motion, u);
                let reach = RADIUS * pose.scale;
                let within = |at: f32, side: usize| at - reach > 0.0 && at + reach < side as f32;
                let [x, y] = pose.centre;
                assert!(within(x, SIZE[0]) && within(y, SIZE[1]), "{} at {u}", motion.name);
            }
        }
    }

    #[test]
    fn the_badge_moves_and_turns() {
        let (first, last) = (Pose::at(&Motion::TRAVEL, 0.0), Pose::at(&Motion::TRAVEL, 1.0));
        assert!(last.centre[0] - first.centre[0] > 1.5 * RADIUS);
        assert!(last.angle - first.angle > 0.75);
    }
}
