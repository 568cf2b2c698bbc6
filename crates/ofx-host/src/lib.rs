//! OpenFX made safe, host side: a strict headless host that runs any image effect plug-in.
//!
//! [`Host`] is what plug-ins see, [`Plugin`] one of theirs, [`Instance`] a node of it with frames
//! connected. What a plug-in does against the standard is answered with the standard's status, recorded
//! as a [`Violation`] in the host's [`Session`], and makes the program `ofx-run` fail. [`Script`] is what
//! that program runs.

mod buffer;
pub mod bundle;
mod clip;
mod creation;
mod effect;
pub mod files;
mod handle;
mod host;
mod image;
mod instance;
mod live_image;
mod param;
mod param_kind;
mod plugin;
mod preferences;
mod property;
mod render;
mod schema;
mod schemas;
mod scope;
pub mod script;
pub mod sequence;
mod session;
mod source;
mod status;
mod suites;

pub use buffer::RowOrder;
pub use host::{Host, HostOptions};
pub use image::{Bounds, Components, Depth, Image, Premultiplication};
pub use instance::{Instance, InstanceError, InstanceOptions, ParamInfo, Project, SavedParam};
pub use param::{Key, ParamValue};
pub use param_kind::ParamKind;
pub use plugin::{EntryPoints, LoadError, Plugin};
pub use render::{RenderOptions, Rendered};
pub use scope::{Action, Announced, Reason};
pub use script::{Report, Script};
pub use session::{Listener, Message, MessageKind, Notice, Rule, Session, Violation};
pub use source::{FrameSource, Frames, Input, Outside, SourceError};
pub use status::Status;
