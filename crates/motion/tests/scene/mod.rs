//! A patterned card that shifts, turns and zooms before a backdrop that moves otherwise, with its true motion.
#![allow(dead_code, missing_docs)] // each test file uses its own part

use lora_edit_motion::field::Field;
use lora_edit_motion::plane::Plane;
use lora_edit_motion::track::{Way, track};
use lora_edit_motion::view::Pyramid;
use lora_edit_shot::{ColourSpace, Frame, WorkingSpace, colour};

/// Where and how a card lies.
#[derive(Debug, Clone, Copy)]
pub struct Pose {
    pub middle: [f32; 2],
    pub turn: f32,
    pub zoom: f32,
}

/// What happens in a shot.
#[derive(Clone)]
pub struct Scene {
    pub size: [usize; 2],
    pub frames: usize,
    /// Half the card's width and height.
    pub card: [f32; 2],
    /// Per frame: displacement, turn in radians, factor of zoom.
    pub shift: [f32; 2],
    pub turn: f32,
    pub zoom: f32,
    /// When in its motion a card is at time `t`.
    pub clock: fn(f32) -> f32,
    /// Part of the time from frame to frame that the shutter is open.
    pub shutter: f32,
    /// The light at frame `t` and place `x`, `y`: gain, and veil.
    pub light: fn(f32, f32, f32) -> [f32; 2],
    /// A post in front at this x, of this half width.
    pub post: Option<[f32; 2]>,
}

impl Scene {
    /// All three motions at once, small.
    pub fn new(frames: usize) -> Self {
        Self {
            size: [96, 64],
            frames,
            card: [26.0, 18.0],
            shift: [2.3, 0.8],
            turn: 0.03,
            zoom: 1.015,
            clock: |t| t,
            shutter: 0.0,
            light: |_, _, _| [1.0, 0.0],
            post: None,
        }
    }

    /// It sets off from frame 0: sharp there, and blurred more and more.
    pub fn setting_off() -> Self {
        Self { clock: |t| 0.5 * t.max(0.0) * t, shift: [3.0, 0.8], shutter: 0.5, ..Self::new(4) }
    }

    fn pose(&self, t: f32) -> Pose {
        let t = (self.clock)(t) - 0.5 * (self.clock)((self.frames - 1) as f32);
        let middle = [0, 1].map(|k| 0.5 * self.size[k] as f32 + t * self.shift[k]);
        Pose { middle, turn: t * self.turn, zoom: self.zoom.powf(t) }
    }

    /// The card's own place that is seen at `x`, `y`.
    fn on_card(&self, t: f32, [x, y]: [f32; 2]) -> [f32; 2] {
        let Pose { middle, turn, zoom } = self.pose(t);
        let (x, y, (sin, cos)) = (x - middle[0], y - middle[1], turn.sin_cos());
        [(cos * x + sin * y) / zoom, (cos * y - sin * x) / zoom]
    }

    /// Where a place of the card is seen.
    fn seen(&self, t: f32, [u, v]: [f32; 2]) -> [f32; 2] {
        let Pose { middle, turn, zoom } = self.pose(t);
        let (sin, cos) = turn.sin_cos();
        [middle[0] + zoom * (cos * u - sin * v), middle[1] + zoom * (cos * v + sin * u)]
    }

    /// Where what is seen at a place of frame `t` is in frame `key`.
    pub fn way(&self, t: usize, key: usize, at: [f32; 2]) -> [f32; 2] {
        self.seen(key as f32, self.on_card(t as f32, at))
    }

    /// Linear light through the pixel's area and the exposure, and how much of it is the card.
    fn pixel(&self, t: usize, x: usize, y: usize, card: fn(f32, f32) -> [f32; 3]) -> [f32; 4] {
        let times = if self.shutter > 0.0 { 8 } else { 1 };
        let mut sum = [0.0; 4];
        for i in 0..times * 16 {
            let time = t as f32 + self.shutter * (((i / 16) as f32 + 0.5) / times as f32 - 0.5);
            let part = |k: usize| (k as f32 - 1.5) / 4.0;
            let at = [x as f32 + part(i % 4), y as f32 + part(i / 4 % 4)];
            let place = self.on_card(time, at);
            let shown = place[0].abs() <= self.card[0] && place[1].abs() <= self.card[1];
            let hidden = self.post.is_some_and(|[middle, half]| (at[0] - middle).abs() <= half);
            let colour = match (hidden, shown) {
                (true, _) => [0.05, 0.3, 0.1],
                (_, true) => card(place[0], place[1]),
                _ => backdrop(at[0] + 3.0 * time, at[1] - 2.0 * time),
            };
            let [gain, veil] = (self.light)(time, at[0], at[1]);
            (0..3).for_each(|c| sum[c] += gain * colour[c] + veil);
            sum[3] += f32::from(shown && !hidden);
        }
        sum.map(|sum| sum / (16 * times) as f32)
    }

    /// Frames in working code values and soft masks, the card looking so.
    pub fn render(&self, card: fn(f32, f32) -> [f32; 3]) -> (Vec<Frame>, Vec<Frame>) {
        let [width, height] = self.size;
        let one = |t: usize| {
            let mut mask = Frame::new(width, height, 1);
            let frame = Frame::from_fn(width, height, 3, |x, y, out| {
                let pixel = self.pixel(t, x, y, card);
                let code = |light: f32| colour::to_working(ColourSpace::Linear, WorkingSpace::Srgb, light);
                out.copy_from_slice(&[0, 1, 2].map(|c| code(pixel[c])));
                mask.pixel_mut(x, y)[0] = pixel[3];
            });
            (frame, mask)
        };
        (0..self.frames).map(one).unzip()
    }

    /// Follows the plate's card from `key`.
    pub fn tracked(&self, key: usize) -> Way {
        let (frames, masks) = self.render(plate);
        track(&pyramids(&frames, &masks), key, &mut |_| true).expect("nobody stopped it")
    }

    /// Mean and largest distance, in pixels, of a way from the true one, where both frames show the card.
    pub fn distance(&self, fields: &[Field], key: usize, margin: f32) -> (f32, f32) {
        let (_, masks) = self.render(plate);
        let inside = |mask: &Frame, [x, y]: [f32; 2]| {
            let (x, y) = (x.round() as isize, y.round() as isize);
            let within = x >= 0 && y >= 0 && x < mask.width as isize && y < mask.height as isize;
            within && mask.pixel(x as usize, y as usize)[0] > 0.98
        };
        let (mut sum, mut most, mut count) = (0.0f32, 0.0f32, 0.0f32);
        for (t, field) in fields.iter().enumerate() {
            for (x, y) in places(self.size) {
                let at = [x as f32, y as f32];
                let wanted = self.way(t, key, at);
                let [u, v] = self.on_card(t as f32, at);
                let far = u.abs() < self.card[0] - margin && v.abs() < self.card[1] - margin;
                if far && inside(&masks[t], at) && inside(&masks[key], wanted) {
                    let found = field.position(x, y);
                    let off = (found[0] - wanted[0]).hypot(found[1] - wanted[1]);
                    (sum, most, count) = (sum + off, most.max(off), count + 1.0);
                }
            }
        }
        (sum / count.max(1.0), most)
    }
}

pub fn places([width, height]: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    (0..width * height).map(move |i| (i % width, i / width))
}

/// As a shot prepares them, in whole frames.
pub fn pyramids(frames: &[Frame], masks: &[Frame]) -> Vec<Pyramid> {
    let one = |(frame, mask): (&Frame, &Frame)| {
        let solid = Plane::of(mask, 0).mapped(|v| f32::from(v >= 0.98));
        Pyramid::of(std::array::from_fn(|c| Plane::of(frame, c).spread(&solid)), solid)
    };
    frames.iter().zip(masks).map(one).collect()
}

/// The card's own pattern, in linear light.
pub fn plate(u: f32, v: f32) -> [f32; 3] {
    let wave = |a: f32, b: f32, c: f32| (a * u + b * v + c).sin();
    let fine = 0.10 * wave(0.9, 0.35, 0.0) + 0.10 * wave(-0.3, 0.85, 1.0);
    let broad = 0.10 * wave(0.21, -0.13, 2.0) + 0.08 * wave(0.07, 0.24, 0.5);
    [0.42 + fine + broad, 0.36 + 0.8 * fine - 0.5 * broad, 0.3 + 0.5 * fine + 0.9 * broad]
}

/// The pattern painted over: a dye with a disc on it.
pub fn painted(u: f32, v: f32) -> [f32; 3] {
    let [r, g, b] = plate(u, v);
    let disc = (u - 6.0).hypot(v + 2.0) < 8.0;
    if disc { [0.2 * r, 0.3 * g, 1.2 * b] } else { [1.1 * r, 0.4 * g, 0.5 * b] }
}

fn backdrop(x: f32, y: f32) -> [f32; 3] {
    let wave = |a: f32, b: f32| (a * x + b * y).sin();
    let (a, b) = (0.12 * wave(0.6, 0.2), 0.12 * wave(-0.2, 0.5));
    [0.25 + a, 0.3 + b, 0.28 + a - b]
}

/// Peak signal to noise of two frames where a mask is above 0.98 and `counts`, in dB.
pub fn psnr(a: &Frame, b: &Frame, mask: &Frame, counts: impl Fn(usize) -> bool) -> f32 {
    let (mut sum, mut count) = (1e-9f32, 0.0f32);
    for i in (0..mask.data.len()).filter(|&i| mask.data[i] > 0.98 && counts(i)) {
        sum += (3 * i..3 * i + 3).map(|k| (a.data[k] - b.data[k]).powi(2)).sum::<f32>() / 3.0;
        count += 1.0;
    }
    -10.0 * (sum / count.max(1.0)).log10()
}
