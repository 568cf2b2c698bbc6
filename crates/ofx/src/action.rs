//! What an action says and what it is told: arguments read, answers written.

use std::ffi::{CStr, CString};

use openfx_sys as sys;

use crate::props::tolerate;
use crate::{Components, Depth, Field, Premultiplication, PropertySet, RectD, RectI, Result};

/// What to render: the arguments of Render and of IsIdentity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RenderArgs {
    /// Time in frames.
    pub time: f64,
    /// The pixels to write.
    pub window: RectI,
    /// Scale of the images against full size, in x and y.
    pub scale: [f64; 2],
    /// Which lines to render.
    pub field: Field,
    /// The host renders frames in order.
    pub sequential: bool,
    /// A user waits for it.
    pub interactive: bool,
    /// Speed matters more than quality.
    pub draft: bool,
}

impl RenderArgs {
    pub(crate) fn read(props: PropertySet<'_>) -> Result<Self> {
        Ok(Self {
            time: props.double(sys::kOfxPropTime, 0)?,
            window: props.ints(sys::kOfxImageEffectPropRenderWindow)?.into(),
            scale: scale(props),
            field: field(props),
            sequential: props.flag_or(sys::kOfxImageEffectPropSequentialRenderStatus, false),
            interactive: props.flag_or(sys::kOfxImageEffectPropInteractiveRenderStatus, false),
            draft: props.flag_or(sys::kOfxImageEffectPropRenderQualityDraft, false),
        })
    }
}

/// A range of frames about to be rendered, or just rendered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceArgs {
    /// First frame; 0 where the host does not say.
    pub first: f64,
    /// Last frame; 0 where the host does not say.
    pub last: f64,
    /// Frames from one to the next.
    pub step: f64,
    /// Scale of the images against full size, in x and y.
    pub scale: [f64; 2],
    /// A user waits for it.
    pub interactive: bool,
    /// The host renders frames in order.
    pub sequential: bool,
}

impl SequenceArgs {
    /// Nothing here is worth failing for: frames come with their own arguments.
    pub(crate) fn read(props: PropertySet<'_>) -> Self {
        let [first, last] = props.doubles(sys::kOfxImageEffectPropFrameRange).unwrap_or_default();
        Self {
            first,
            last,
            step: props.double_or(sys::kOfxImageEffectPropFrameStep, 1.0),
            scale: scale(props),
            interactive: props.flag_or(sys::kOfxPropIsInteractive, false),
            sequential: props.flag_or(sys::kOfxImageEffectPropSequentialRenderStatus, false),
        }
    }
}

/// When and at what scale a region is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegionArgs {
    /// Time in frames.
    pub time: f64,
    /// Scale of the images against full size, in x and y. Regions are canonical all the same.
    pub scale: [f64; 2],
}

impl RegionArgs {
    pub(crate) fn read(props: PropertySet<'_>) -> Result<Self> {
        Ok(Self { time: props.double(sys::kOfxPropTime, 0)?, scale: scale(props) })
    }
}

fn scale(props: PropertySet<'_>) -> [f64; 2] {
    props.doubles(sys::kOfxImageEffectPropRenderScale).unwrap_or([1.0, 1.0])
}

fn field(props: PropertySet<'_>) -> Field {
    let word = props.string_or_empty(sys::kOfxImageEffectPropFieldToRender);
    Field::from_word(&word).unwrap_or(Field::None)
}

/// The clip and time whose image is the result, so that nothing has to be rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The clip's name.
    pub clip: String,
    /// Time in frames.
    pub time: f64,
}

/// What kind of thing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// A parameter; buttons too.
    Param,
    /// A clip.
    Clip,
    /// Something else.
    Other,
}

/// Why something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A user edited it, also by undo or by loading. Only now may images be fetched.
    UserEdited,
    /// The plug-in set it.
    PluginEdited,
    /// The time changed, and it varies over time.
    Time,
    /// A reason the standard does not know.
    Other,
}

impl Reason {
    pub(crate) fn read(props: PropertySet<'_>) -> Self {
        let word = props.string_or_empty(sys::kOfxPropChangeReason);
        let is = |known: &CStr| known.to_bytes() == word.as_bytes();
        match () {
            () if is(sys::kOfxChangeUserEdited) => Self::UserEdited,
            () if is(sys::kOfxChangePluginEdited) => Self::PluginEdited,
            () if is(sys::kOfxChangeTime) => Self::Time,
            () => Self::Other,
        }
    }
}

/// A change of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What kind of thing changed.
    pub object: Changed,
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: Reason,
    /// Time in frames; 0 where the host does not say.
    pub time: f64,
    /// Scale of images that would be fetched now, in x and y.
    pub scale: [f64; 2],
}

impl Change {
    pub(crate) fn read(props: PropertySet<'_>) -> Result<Self> {
        Ok(Self {
            object: changed(&props.string_or_empty(sys::kOfxPropType)),
            name: props.string(sys::kOfxPropName, 0)?,
            reason: Reason::read(props),
            time: props.double_or(sys::kOfxPropTime, 0.0),
            scale: scale(props),
        })
    }

    /// True if a user pressed this button or edited this parameter.
    #[must_use]
    pub fn is_press(&self, param: &str) -> bool {
        self.object == Changed::Param && self.reason == Reason::UserEdited && self.name == param
    }
}

fn changed(word: &str) -> Changed {
    if word.as_bytes() == sys::kOfxTypeParameter.to_bytes() {
        Changed::Param
    } else if word.as_bytes() == sys::kOfxTypeClip.to_bytes() {
        Changed::Clip
    } else {
        Changed::Other
    }
}

/// Answers of an action that are written as properties; without any, the host does its default.
#[derive(Debug)]
pub(crate) struct Answers<'a> {
    props: PropertySet<'a>,
    pub given: bool,
}

impl<'a> Answers<'a> {
    pub fn new(props: PropertySet<'a>) -> Self {
        Self { props, given: false }
    }

    /// The host keeps one property per clip, named after it.
    fn of_clip(
        &mut self,
        prefix: &str,
        clip: &str,
        set: impl FnOnce(PropertySet<'a>, &CStr) -> Result<()>,
    ) -> Result<()> {
        let name =
            CString::new(format!("{prefix}{clip}")).map_err(|_| crate::Error::ZeroByte(clip.to_owned()))?;
        set(self.props, &name)?;
        self.given = true;
        Ok(())
    }

    /// A wish that not every host knows.
    fn wish(&mut self, set: impl FnOnce(PropertySet<'a>) -> Result<()>) {
        tolerate(set(self.props));
        self.given = true;
    }
}

/// The frames of each clip that rendering a frame needs; clips not named are needed at its own time.
#[derive(Debug)]
pub struct FramesNeeded<'a>(pub(crate) Answers<'a>);

impl FramesNeeded<'_> {
    /// The frames from `first` to `last` of a clip. Hosts may fetch every one of them.
    ///
    /// # Errors
    /// A clip the host does not know.
    pub fn clip(&mut self, name: &str, first: f64, last: f64) -> Result<()> {
        self.0.of_clip("OfxImageClipPropFrameRange_", name, |props, property| {
            props.set_doubles(property, &[first, last])
        })
    }
}

/// The region of each clip that rendering a region of the output needs.
#[derive(Debug)]
pub struct RegionsOfInterest<'a>(pub(crate) Answers<'a>);

impl RegionsOfInterest<'_> {
    /// A region of a clip in canonical coordinates.
    ///
    /// # Errors
    /// A clip the host does not know.
    pub fn clip(&mut self, name: &str, region: RectD) -> Result<()> {
        self.0.of_clip("OfxImageClipPropRoI_", name, |props, property| {
            props.set_doubles(property, &region.edges())
        })
    }
}

/// What the effect wants its clips and its output to be. Hosts may ignore any of it.
#[derive(Debug)]
pub struct ClipPreferences<'a>(pub(crate) Answers<'a>);

impl ClipPreferences<'_> {
    /// The components of a clip.
    ///
    /// # Errors
    /// A clip the host does not know.
    pub fn components(&mut self, clip: &str, components: Components) -> Result<()> {
        self.0.of_clip("OfxImageClipPropComponents_", clip, |props, name| {
            props.set_string(name, 0, components.word())
        })
    }

    /// The depth of a clip; only for hosts and effects with several depths at once.
    ///
    /// # Errors
    /// A clip the host does not know.
    pub fn depth(&mut self, clip: &str, depth: Depth) -> Result<()> {
        self.0.of_clip("OfxImageClipPropDepth_", clip, |props, name| props.set_string(name, 0, depth.word()))
    }

    /// What alpha means in the output.
    pub fn premultiplication(&mut self, premultiplication: Premultiplication) {
        let word = premultiplication.word();
        self.0.wish(|props| props.set_string(sys::kOfxImageEffectPropPreMultiplication, 0, word));
    }

    /// Whether the output differs from frame to frame even where the input does not.
    pub fn frame_varying(&mut self, on: bool) {
        self.0.wish(|props| props.set_int(sys::kOfxImageEffectFrameVarying, 0, on.into()));
    }

    /// Whether the output can be sampled between frames.
    pub fn continuous_samples(&mut self, on: bool) {
        self.0.wish(|props| props.set_int(sys::kOfxImageClipPropContinuousSamples, 0, on.into()));
    }

    /// The output's frames per second.
    pub fn frame_rate(&mut self, rate: f64) {
        self.0.wish(|props| props.set_double(sys::kOfxImageEffectPropFrameRate, 0, rate));
    }
}
