//! OpenFX made safe, plug-in side: status, properties, suites, parameters, clips, images, actions.
//!
//! A plug-in implements [`Plugin`] (what it is) and [`Instance`] (what a node does) and calls
//! [`export_plugin!`]. Everything a host sends passes one funnel ([`entry::Entry`]): null checks,
//! no panic across the C interface, a trace line when an action starts and stops, one conversion
//! from [`Error`] to status. Host handles are reached through values that borrow from the action's
//! [`Effect`], so none outlives it; none can be sent to another thread.
//!
//! Images keep OpenFX's orientation here: y grows upwards, row 0 is the bottom.

mod action;
mod clip;
mod convert;
mod define;
mod describe;
mod effect;
pub mod entry;
mod host;
mod image;
mod instances;
mod kinds;
mod message;
mod param;
mod plugin;
mod progress;
mod props;
mod rect;
mod status;
mod suites;
mod text;

pub use action::{
    Change, Changed, ClipPreferences, FramesNeeded, Identity, Reason, RegionArgs, RegionsOfInterest,
    RenderArgs, SequenceArgs,
};
pub use clip::Clip;
pub use define::{Invalidation, ParamDescriptor, StringMode};
pub use describe::{ClipDescriptor, ContextDescriptor, EffectDescriptor};
pub use effect::Effect;
pub use host::Host;
pub use image::{Image, ImageMut};
pub use kinds::{Components, Context, Depth, Field, Premultiplication, RenderSafety};
pub use message::MessageKind;
pub use param::{EditGroup, Param, ParamValue, Settable};
pub use plugin::{Instance, Plugin, Reply};
pub use progress::Progress;
pub use props::PropertySet;
pub use rect::{RectD, RectI};
pub use status::{Error, Result, Status};
pub use text::Text;

#[doc(hidden)]
pub use openfx_sys as sys;
