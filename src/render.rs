//! Renders a frame: one small file of the result, composited over the host's own pixels.

use lora_edit_shot::composite::{Composite, Layer};
use lora_edit_shot::resize::{Filter, resize};
use lora_edit_shot::result::{ResultError, ResultReader};
use lora_edit_shot::{Frame, Rect};
use ofx::{Effect, Error, Identity, RenderArgs, Result};

use crate::describe::{EDITED, MASK, SOURCE};
use crate::frames::{Canvas, HostFrame, MaskReader};
use crate::settings::{self, Look, OnMissing, Output};

/// How a render ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Rendered {
    /// As asked.
    Whole,
    /// Source was passed through for want of a result; why.
    SourceFor(String),
}

/// Source itself where nothing is to be done: mix 0, output Source, or a frame outside the shot.
///
/// # Errors
/// A parameter that cannot be read.
pub fn identity(effect: &Effect<'_>, args: &RenderArgs) -> Result<Option<Identity>> {
    let look = Look::read(effect, args.time)?;
    let identity = || Identity { clip: SOURCE.into(), time: args.time };
    Ok(is_untouched(effect, &look, frame_at(args.time))?.then(identity))
}

/// Renders `args.window`. The output holds the plate before anything can fail.
///
/// # Errors
/// One line that names the frame, where there is no result to show or it does not fit.
pub fn render(effect: &Effect<'_>, args: &RenderArgs) -> Result<Rendered> {
    let frame = frame_at(args.time);
    let source = HostFrame::fetch(&effect.source()?, args.time)?;
    let source = source.ok_or_else(|| Error::failed(format!("Source has no frame {frame}")))?;
    let mut output = Canvas::showing(&source, effect, args.time, args.window)?;
    let look = Look::read(effect, args.time)?;
    if is_untouched(effect, &look, frame)? {
        return Ok(Rendered::Whole);
    }
    let mask = mask_at(effect, &look, args.time)?;
    let shot = Shot { effect, args, look: &look, source: &source, frame };
    let layer = match shot.layer() {
        Ok(layer) => layer,
        Err(Absent::Result(why)) => return without_result(&look, frame, why),
        Err(Absent::Other(error)) => return Err(error),
    };
    let reader = MaskReader::new(mask.as_ref(), source.raster(), look.mask);
    shot.paint(&mut output, reader, &layer)?;
    Ok(Rendered::Whole)
}

/// The frame that a time shows; retimed fractions show the nearest.
pub fn frame_at(time: f64) -> i32 {
    time.round() as i32
}

fn is_untouched(effect: &Effect<'_>, look: &Look, frame: i32) -> Result<bool> {
    let shows_mask = look.output == Output::Mask;
    if look.output == Output::Source || (look.mix == 0.0 && !shows_mask) {
        return Ok(true);
    }
    Ok(settings::frames(effect)?.is_some_and(|frames| !frames.contains(frame)))
}

fn mask_at<'a>(effect: &Effect<'a>, look: &Look, time: f64) -> Result<Option<HostFrame<'a>>> {
    if !look.mask.apply {
        return Ok(None);
    }
    let absent = || {
        let frame = frame_at(time);
        Error::failed(format!("Mask has no frame {frame}: connect a roto, or switch maskApply off"))
    };
    HostFrame::fetch(&effect.clip(MASK)?, time)?.ok_or_else(absent).map(Some)
}

fn without_result(look: &Look, frame: i32, why: String) -> Result<Rendered> {
    let why = format!("frame {frame}: {why}");
    match look.on_missing {
        OnMissing::Error => Err(why.into()),
        OnMissing::Source => Ok(Rendered::SourceFor(why)),
    }
}

/// Why there is no picture to lay over the plate.
enum Absent {
    /// There is no result, or it lacks the frame.
    Result(String),
    /// Anything else.
    Other(Error),
}

impl From<ResultError> for Absent {
    fn from(error: ResultError) -> Self {
        match error {
            ResultError::Missing { .. } => Self::Result(format!("{error}: press Generate, or wait for it")),
            ResultError::Outside(_) => Self::Result(format!("{error}: press Generate again")),
            other => Self::Other(Error::other(other)),
        }
    }
}

impl From<Error> for Absent {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// The edit, at the scale of the render.
struct Placed {
    layer: Layer,
    crop: Rect,
}

/// One frame being rendered.
struct Shot<'a, 'h> {
    effect: &'a Effect<'h>,
    args: &'a RenderArgs,
    look: &'a Look,
    source: &'a HostFrame<'h>,
    frame: i32,
}

impl Shot<'_, '_> {
    fn layer(&self) -> Result<Placed, Absent> {
        // A mask is shown without any result.
        if self.look.output == Output::Mask {
            return Ok(Placed { layer: Frame::new(0, 0, 3).into(), crop: Rect::default() });
        }
        let id = self.look.result.as_ref();
        let id = id.ok_or_else(|| Absent::Result("no result yet: press Generate".into()))?;
        let result = ResultReader::open(&self.look.cache, id)?;
        self.expect_same_plate(&result)?;
        let layer = match self.painted(&result)? {
            Some(layer) => layer,
            None => result.frame(self.frame)?,
        };
        Ok(self.scaled(&layer, &result))
    }

    /// A node moved to another plate still names its old result.
    fn expect_same_plate(&self, result: &ResultReader) -> Result<()> {
        let made_for = result.info().info.fit.source_size;
        let scaled = [0, 1].map(|axis| f64::from(made_for[axis]) * self.args.scale[axis]);
        let found = self.source.raster().size();
        if (0..2).all(|axis| (scaled[axis] - f64::from(found[axis])).abs() <= 1.0) {
            return Ok(());
        }
        let [width, height] = made_for;
        let (frame, source) = (self.frame, self.source.raster());
        Err(format!("frame {frame}: Source is {source}, the result is for {width}x{height}").into())
    }

    /// At a key frame the painted picture itself, at the size of the crop.
    fn painted(&self, result: &ResultReader) -> Result<Option<Layer>> {
        if !self.look.hold_keys || !self.look.keys.contains(self.frame) || !result.contains(self.frame) {
            return Ok(None);
        }
        let edited = self.effect.clip(EDITED)?;
        if !edited.connected() {
            return Ok(None);
        }
        let Some(painted) = HostFrame::fetch(&edited, self.args.time)? else { return Ok(None) };
        let (found, source) = (painted.raster(), self.source.raster());
        if found != source {
            return Err(format!("Edited at frame {} is {found}, Source is {source}", self.frame).into());
        }
        let picture = self.full_size(painted.picture(), result);
        result.painted(&picture, self.look.edit_space).map(Some).map_err(Error::other)
    }

    /// A proxy's picture at the plate's size, so that one way leads from there.
    fn full_size(&self, picture: Frame, result: &ResultReader) -> Frame {
        let [width, height] = result.info().info.fit.source_size;
        match picture.size() == [width, height] {
            true => picture,
            false => resize(&picture, width as usize, height as usize, Filter::Bilinear),
        }
    }

    /// Brings crop-size pictures to the scale of the render, and to the plate's alpha.
    fn scaled(&self, layer: &Layer, result: &ResultReader) -> Placed {
        let crop = scaled_rect(result.info().info.fit.crop, self.args.scale);
        let layer = layer.map(|picture| {
            let mut picture = match (picture.width, picture.height) == (crop.width(), crop.height()) {
                true => picture.clone(),
                false => resize(picture, crop.width(), crop.height(), Filter::Bilinear),
            };
            self.source.premultiply(&mut picture, crop);
            picture
        });
        Placed { layer, crop }
    }

    fn paint(&self, output: &mut Canvas<'_>, mut mask: MaskReader<'_, '_>, placed: &Placed) -> Result<()> {
        let raster = self.source.raster();
        let window = raster.to_frame(self.args.window);
        let area = match self.look.output {
            Output::Comp => window.intersect(&placed.crop),
            _ => window,
        };
        let mut row = Row::new(area.width());
        for y in area.y1..area.y2 {
            self.effect.check_abort()?;
            mask.row(y, area.x1, &mut row.mask);
            if self.look.output == Output::Comp && row.mask.iter().all(|&m| m == 0.0) {
                continue;
            }
            self.source.read_row(raster, y, area.x1, &mut row.plate);
            row.fill(self.look, placed, area.x1, y);
            output.write_row(y, area.x1, &row.out);
        }
        Ok(())
    }
}

/// The pixels of one row: the plate and the output as RGBA, and the mask.
struct Row {
    plate: Vec<f32>,
    mask: Vec<f32>,
    out: Vec<f32>,
}

impl Row {
    fn new(width: usize) -> Self {
        Self { plate: vec![0.0; width * 4], mask: vec![0.0; width], out: vec![0.0; width * 4] }
    }

    /// Makes the output from plate and mask, for the row `y` from column `x` of the frame on.
    fn fill(&mut self, look: &Look, placed: &Placed, x: i32, y: i32) {
        let composite = Composite { generated: &placed.layer, crop: placed.crop, mix: look.mix };
        self.out.copy_from_slice(&self.plate);
        match look.output {
            Output::Mask => self.fill_with_mask(),
            Output::Source => {}
            Output::Edit => self.fill_with_edit(&composite, x, y),
            Output::Comp => composite.row(y, x, &mut self.out, 4, &self.mask),
            Output::Difference => {
                composite.row(y, x, &mut self.out, 4, &self.mask);
                self.subtract_plate();
            }
        }
    }

    /// What laid over the plate gives the composite: the picture premultiplied by the mask, and at soft edges what must
    /// change in the plate behind it.
    fn fill_with_edit(&mut self, composite: &Composite<'_>, x: i32, y: i32) {
        composite.take_out(y, x, &mut self.out, 4, &self.mask);
        let pixels = self.out.chunks_exact_mut(4).zip(self.plate.chunks_exact(4)).zip(&self.mask);
        for ((out, plate), mask) in pixels {
            let seen = 1.0 - (mask * composite.mix).clamp(0.0, 1.0);
            let change = |i: usize| Some(seen * (out[i] - plate[i])).filter(|change| change.is_finite());
            let changes = [0, 1, 2].map(|i| change(i).unwrap_or(0.0));
            out[..3].copy_from_slice(&changes);
        }
        let mut layer = vec![0.0; self.out.len()];
        composite.lay(y, x, &mut layer, 4, &self.mask);
        self.out.iter_mut().zip(&layer).for_each(|(out, layer)| *out += layer);
        self.set_edit_alpha(composite.mix, composite.crop, x, y);
    }

    fn fill_with_mask(&mut self) {
        self.out.chunks_exact_mut(4).zip(&self.mask).for_each(|(pixel, &mask)| pixel.fill(mask));
    }

    fn set_edit_alpha(&mut self, mix: f32, crop: Rect, x: i32, y: i32) {
        let pixels = (x..).zip(self.out.chunks_exact_mut(4)).zip(&self.mask);
        for ((x, pixel), mask) in pixels {
            let inside = (crop.x1..crop.x2).contains(&x) && (crop.y1..crop.y2).contains(&y);
            pixel[3] = if inside { mask * mix } else { 0.0 };
        }
    }

    fn subtract_plate(&mut self) {
        for (out, plate) in self.out.chunks_exact_mut(4).zip(self.plate.chunks_exact(4)) {
            (0..3).for_each(|i| out[i] = (out[i] - plate[i]).abs());
        }
    }
}

/// Where a rectangle lies at a render scale, to the nearest pixel.
fn scaled_rect(rect: Rect, [x, y]: [f64; 2]) -> Rect {
    let at = |edge: i32, scale: f64| (f64::from(edge) * scale).round() as i32;
    Rect::new(at(rect.x1, x), at(rect.y1, y), at(rect.x2, x), at(rect.y2, y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_takes_the_crop_to_its_own_pixels() {
        let crop = Rect::new(-3, 10, 61, 50);
        assert_eq!(scaled_rect(crop, [1.0, 1.0]), crop);
        assert_eq!(scaled_rect(crop, [0.5, 0.25]), Rect::new(-2, 3, 31, 13));
    }

    #[test]
    fn a_time_between_frames_shows_the_nearest() {
        assert_eq!([1001.0, 1001.4, 1001.6, -0.6].map(frame_at), [1001, 1001, 1002, -1]);
    }
}
