//! Pulls a shot out of the host, frame by frame under its progress bar, into working frames.

use lora_edit_shot::ingest::{Ingest, IngestSettings, Ingested, MaskOptions, MaskPass, ModelGeometry};
use lora_edit_shot::{Frame, FrameRange};
use ofx::{Clip, Effect, Error, Field, Progress, Result};

use crate::describe::{EDITED, MASK, REFERENCE, SOURCE};
use crate::frames::{HostFrame, MaskReader, Raster};
use crate::settings::Order;

/// Reads the shot that `order` names, and its painted frames if `with_edit`.
///
/// # Errors
/// [`Error::Stopped`] when the user cancels; otherwise one line that names the clip and the frame.
pub fn pull(effect: &Effect<'_>, order: &Order, with_edit: bool) -> Result<Ingested> {
    if !effect.host().temporal_access {
        return Err("this host hands over the current frame only: use the program lora-edit instead".into());
    }
    let keys = if with_edit { order.keys.clone() } else { FrameRange::of([]) };
    if with_edit && keys.is_empty() {
        return Err("keyFrames is empty: say at which frame Edited is painted".into());
    }
    Pull::new(effect, order)?.run(keys)
}

/// One reading of a shot. The first frame settles where the picture lies for all of them.
struct Pull<'a> {
    order: &'a Order,
    source: Clip<'a>,
    mask: Option<Clip<'a>>,
    edited: Clip<'a>,
    reference: Clip<'a>,
    raster: Raster,
    steps: Steps<'a>,
}

/// The progress bar and where it stands.
struct Steps<'a> {
    bar: Progress<'a>,
    done: usize,
    of: usize,
}

impl Steps<'_> {
    /// One more picture is read; the user may have cancelled.
    fn advance(&mut self) -> Result<()> {
        self.done += 1;
        let cancelled = self.bar.update(self.done as f64 / self.of as f64);
        if cancelled { Err(Error::Stopped) } else { Ok(()) }
    }
}

impl<'a> Pull<'a> {
    fn new(effect: &'a Effect<'_>, order: &'a Order) -> Result<Self> {
        let source = connected(effect, SOURCE, "the plate")?;
        whole_frames(&source)?;
        let mask = match order.mask.apply {
            true => {
                Some(connected(effect, MASK, "a roto, or switch maskApply off to edit the whole picture")?)
            }
            false => None,
        };
        let first = order.frames.first().ok_or_else(|| Error::failed("the frame range holds no frame"))?;
        let raster = full_scale(&source, first)?.raster();
        let passes = if mask.is_some() { 2 } else { 1 };
        let bar = effect.progress("LoRA-Edit reads the shot", "org.lora-edit.analyse");
        let steps = Steps { bar, done: 0, of: order.frames.len() * passes };
        Ok(Self {
            order,
            source,
            mask,
            edited: effect.clip(EDITED)?,
            reference: effect.clip(REFERENCE)?,
            raster,
            steps,
        })
    }

    fn run(mut self, keys: FrameRange) -> Result<Ingested> {
        let mut ingest = self.look_at_masks(keys.clone())?;
        for frame in self.order.frames.iter() {
            let picture = self.picture(&self.source, frame)?;
            let mask = self.mask_at(frame)?;
            ingest.source(frame, &picture, mask.as_ref()).map_err(Error::other)?;
            self.steps.advance()?;
        }
        for key in keys.iter() {
            ingest.key(key, &self.painted(key)?).map_err(Error::other)?;
        }
        if !self.order.references.is_empty() && self.order.recipe.stage2_epochs == 0 {
            return Err(
                "Reference is learnt from in stage 2: raise stage2Epochs, or clear referenceFrames".into()
            );
        }
        // A training of the shot alone has no use for them.
        for frame in self.order.references.iter().filter(|_| !keys.is_empty()) {
            ingest.reference(&self.still(frame)?).map_err(Error::other)?;
        }
        ingest.finish().map_err(Error::other)
    }

    /// The first pass: the crop comes from the masks of all frames.
    fn look_at_masks(&mut self, keys: FrameRange) -> Result<Ingest> {
        let settings = IngestSettings {
            frames: self.order.frames.clone(),
            keys,
            input_space: self.order.input_space,
            edit_space: self.order.edit_space,
            mask: MaskOptions::default(),
            model: ModelGeometry::default(),
        };
        let mut pass = MaskPass::new(settings, self.raster.size()).map_err(Error::other)?;
        for frame in self.order.frames.iter() {
            let Some(mask) = self.mask_at(frame)? else { break };
            pass.mask(frame, &mask).map_err(Error::other)?;
            self.steps.advance()?;
        }
        pass.plan().map_err(Error::other)
    }

    /// The soft mask over the source's full frame, inverted already; none where none is to be applied.
    fn mask_at(&self, frame: i32) -> Result<Option<Frame>> {
        let Some(clip) = &self.mask else { return Ok(None) };
        let mask = full_scale(clip, frame)?;
        self.expect_mask_place(frame, mask.raster())?;
        Ok(Some(MaskReader::new(Some(&mask), self.raster, self.order.mask).frame()))
    }

    /// A roto's image may be its bounding box alone, but one that starts where the plate does and ends
    /// elsewhere was drawn over another format.
    fn expect_mask_place(&self, frame: i32, mask: Raster) -> Result<()> {
        if mask.shares_corner(self.raster) && mask.size() != self.raster.size() {
            return Err(size_mismatch(MASK, frame, mask, self.raster));
        }
        Ok(())
    }

    /// The painted frame; one that the clip does not have cannot be guessed.
    fn painted(&self, key: i32) -> Result<Frame> {
        if !self.edited.connected() {
            return Err(format!("Edited is not connected: connect the frame painted at {key}").into());
        }
        self.picture(&self.edited, key)
    }

    /// A reference has a format of its own.
    fn still(&self, frame: i32) -> Result<Frame> {
        if !self.reference.connected() {
            return Err("referenceFrames names frames, and Reference is not connected".into());
        }
        Ok(full_scale(&self.reference, frame)?.picture())
    }

    fn picture(&self, clip: &Clip<'_>, frame: i32) -> Result<Frame> {
        let found = full_scale(clip, frame)?;
        match found.raster() == self.raster {
            true => Ok(found.picture()),
            false => Err(size_mismatch(clip.name(), frame, found.raster(), self.raster)),
        }
    }
}

fn connected<'a>(effect: &Effect<'a>, name: &str, what: &str) -> Result<Clip<'a>> {
    let clip = effect.clip(name)?;
    if clip.connected() { Ok(clip) } else { Err(format!("{name} is not connected: connect {what}").into()) }
}

/// Each field is a picture of another time; trained on both at once the model learns combs.
fn whole_frames(source: &Clip<'_>) -> Result<()> {
    match source.field_order() {
        Field::None => Ok(()),
        _ => Err("Source is interlaced: deinterlace it first".into()),
    }
}

/// A frame to learn from. An absent one is black and transparent to a render; trained on, it would spoil
/// the shot, and so would the few pixels of a proxy.
fn full_scale<'a>(clip: &Clip<'a>, frame: i32) -> Result<HostFrame<'a>> {
    let named = |why: String| Error::failed(format!("{} has no frame {frame}{why}", clip.name()));
    let found = HostFrame::fetch(clip, f64::from(frame)).map_err(|error| named(format!(": {error}")))?;
    let found = found.ok_or_else(|| named(String::new()))?;
    match found.scale() {
        [1.0, 1.0] => Ok(found),
        [x, _] => {
            Err(format!("the host is at proxy scale {x}: switch proxy mode off, then press again").into())
        }
    }
}

fn size_mismatch(clip: &str, frame: i32, found: Raster, source: Raster) -> Error {
    Error::failed(format!("{clip} at frame {frame} is {found}, Source is {source}: reformat it"))
}
