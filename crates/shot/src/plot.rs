//! Line plots: axes, ticks, labels and a legend, on dark neutral grey.

use crate::frame::Frame;
use crate::image_io::{ImageError, write_png8};
use crate::text;
use std::path::Path;

const GROUND: [f32; 3] = [0.085; 3];
const PANEL: [f32; 3] = [0.11; 3];
const GRID: [f32; 3] = [0.19; 3];
const AXIS: [f32; 3] = [0.42; 3];
const WORDS: [f32; 3] = [0.82; 3];
const QUIET: [f32; 3] = [0.58; 3];
const COLOURS: [[f32; 3]; 5] =
    [[0.98, 0.62, 0.26], [0.36, 0.68, 0.96], [0.52, 0.83, 0.45], [0.90, 0.47, 0.68], [0.80, 0.78, 0.42]];

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points from left to right; those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Drawn thin and pale, as for raw values behind their mean.
    pub pale: bool,
}

/// What a plot says besides its curves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Above the plot.
    pub title: String,
    /// Under the x axis.
    pub x: String,
    /// Above the y axis.
    pub y: String,
}

impl Series {
    /// A curve.
    pub fn new(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.to_string(), points: points.into_iter().collect(), pale: false }
    }

    /// The running mean over `window` points, as a curve of its own.
    pub fn smoothed(&self, name: &str, window: usize) -> Self {
        let mean = |i: usize| {
            let part = &self.points[i.saturating_sub(window.max(1) - 1)..=i];
            (self.points[i].0, part.iter().map(|point| point.1).sum::<f64>() / part.len() as f64)
        };
        Self::new(name, (0..self.points.len()).map(mean))
    }

    /// The same curve, pale.
    pub fn pale(mut self) -> Self {
        self.pale = true;
        self
    }
}

/// Draws curves into an RGB picture of display values. Axes span what the points need.
pub fn lines(labels: &Labels, series: &[Series], width: usize, height: usize) -> Frame {
    let mut frame = Frame::filled(width.max(160), height.max(120), &GROUND);
    let axes = Axes::of(series, &frame);
    axes.draw(&mut frame, labels);
    for (index, curve) in series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        axes.draw_curve(&mut frame, curve, colour);
    }
    draw_legend(&mut frame, &axes, series);
    frame
}

/// [`lines`] into a PNG file.
pub fn write_png(
    path: &Path,
    labels: &Labels,
    series: &[Series],
    width: usize,
    height: usize,
) -> Result<(), ImageError> {
    write_png8(path, &lines(labels, series, width, height))
}

/// One axis: the values at its ends and the distance of its ticks.
#[derive(Debug, Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    tick: f64,
}

impl Scale {
    /// Round ticks, about `count` of them, that span all values.
    fn of(values: impl Iterator<Item = f64>, count: f64, round_ends: bool) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = match high - low {
            span if span > 0.0 => (low, high),
            _ if low == f64::MAX => (0.0, 1.0),
            _ => (low - low.abs().max(1.0) * 0.5, high + high.abs().max(1.0) * 0.5),
        };
        let tick = round_step((high - low) / count);
        match round_ends {
            true => Self { low: (low / tick).floor() * tick, high: (high / tick).ceil() * tick, tick },
            false => Self { low, high, tick },
        }
    }

    fn ticks(self) -> impl Iterator<Item = f64> {
        let first = (self.low / self.tick - 1e-6).ceil() as i64;
        let last = (self.high / self.tick + 1e-6).floor() as i64;
        (first..=last).map(move |i| i as f64 * self.tick)
    }

    fn part(self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// As many decimals as the ticks differ by.
    fn label(self, value: f64) -> String {
        let decimals = (-self.tick.log10().floor()).clamp(0.0, 6.0) as usize;
        format!("{value:.decimals$}")
    }
}

/// 1, 2 or 5 times a power of ten, not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= step * (1.0 - 1e-9));
    times.unwrap_or(10.0) * power
}

/// Both axes and the panel between them, in pixels.
struct Axes {
    x: Scale,
    y: Scale,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Axes {
    fn of(series: &[Series], frame: &Frame) -> Self {
        let points = || series.iter().flat_map(|curve| curve.points.iter().copied());
        let (left, top) = (88.0, 64.0);
        let (width, height) = (frame.width as f64 - left - 32.0, frame.height as f64 - top - 60.0);
        let x = Scale::of(points().map(|point| point.0), (width / 90.0).max(2.0), false);
        let y = Scale::of(points().map(|point| point.1), (height / 50.0).max(2.0), true);
        Self { x, y, left, top, width, height }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.left + self.x.part(x) * self.width, self.top + (1.0 - self.y.part(y)) * self.height)
    }

    fn draw(&self, frame: &mut Frame, labels: &Labels) {
        let (left, top) = (self.left as i64, self.top as i64);
        let (width, height) = (self.width as usize, self.height as usize);
        let bottom = top + height as i64;
        text::fill(frame, left, top, width, height, PANEL);
        for tick in self.y.ticks() {
            let (label, y) = (self.y.label(tick), self.at(self.x.low, tick).1.round() as i64);
            text::fill(frame, left, y, width, 1, GRID);
            text::draw(frame, &label, left - 10 - text::width(&label, 1) as i64, y - 4, 1, QUIET);
        }
        for tick in self.x.ticks() {
            let (label, x) = (self.x.label(tick), self.at(tick, self.y.low).0.round() as i64);
            text::fill(frame, x, top, 1, height, GRID);
            text::draw(frame, &label, x - text::width(&label, 1) as i64 / 2, bottom + 10, 1, QUIET);
        }
        text::fill(frame, left, top, 1, height, AXIS);
        text::fill(frame, left, bottom, width + 1, 1, AXIS);
        text::draw(frame, &labels.title, 20, 16, 2, WORDS);
        text::draw(frame, &labels.y, 20, top - 18, 1, QUIET);
        let x = left + (width as i64 - text::width(&labels.x, 1) as i64) / 2;
        text::draw(frame, &labels.x, x, bottom + 32, 1, QUIET);
    }

    fn draw_curve(&self, frame: &mut Frame, curve: &Series, colour: [f32; 3]) {
        let finite = |point: &&(f64, f64)| point.0.is_finite() && point.1.is_finite();
        let at: Vec<_> = curve.points.iter().filter(finite).map(|&(x, y)| self.at(x, y)).collect();
        let (radius, strength) = if curve.pale { (0.9, 0.5) } else { (1.6, 1.0) };
        let pen = Pen { colour, radius, strength };
        if let [only] = at[..] {
            pen.line(frame, only, only);
        }
        at.windows(2).for_each(|pair| pen.line(frame, pair[0], pair[1]));
    }
}

fn draw_legend(frame: &mut Frame, axes: &Axes, series: &[Series]) {
    let mut right = (axes.left + axes.width) as i64;
    for (index, curve) in series.iter().enumerate().rev().filter(|(_, curve)| !curve.name.is_empty()) {
        let colour = COLOURS[index % COLOURS.len()];
        right -= text::width(&curve.name, 1) as i64;
        text::draw(frame, &curve.name, right, axes.top as i64 - 18, 1, QUIET);
        let thickness = if curve.pale { 1 } else { 3 };
        text::fill(frame, right - 24, axes.top as i64 - 15, 18, thickness, colour);
        right -= 44;
    }
}

/// Draws smooth lines: each pixel takes as much colour as the line covers of it.
struct Pen {
    colour: [f32; 3],
    radius: f64,
    strength: f64,
}

impl Pen {
    fn line(&self, frame: &mut Frame, from: (f64, f64), to: (f64, f64)) {
        let reach = self.radius + 1.0;
        let span = |a: f64, b: f64, limit: usize| {
            let first = (a.min(b) - reach).floor().clamp(0.0, limit as f64) as usize;
            first..((a.max(b) + reach).ceil().clamp(0.0, limit as f64) as usize)
        };
        for y in span(from.1, to.1, frame.height) {
            for x in span(from.0, to.0, frame.width) {
                let away = distance((x as f64 + 0.5, y as f64 + 0.5), from, to);
                let cover = (self.radius + 0.5 - away).clamp(0.0, 1.0) * self.strength;
                self.blend(frame.pixel_mut(x, y), cover as f32);
            }
        }
    }

    /// The stronger of both stays, so that where two pieces of a line meet there is no knot.
    fn blend(&self, pixel: &mut [f32], cover: f32) {
        for (value, colour) in pixel.iter_mut().zip(self.colour) {
            let mixed = PANEL[0] + cover * (colour - PANEL[0]);
            *value = if cover > 0.0 { value.max(mixed) } else { *value };
        }
    }
}

/// Distance of a point from a piece of a line.
fn distance(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (px, py) = (point.0 - from.0, point.1 - from.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (px - along * dx).hypot(py - along * dy)
}
