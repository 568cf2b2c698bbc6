//! Clips: definition, connection, and what is fetched through them.

use std::sync::{Arc, OnceLock, Weak};

use openfx_sys::*;
use parking_lot::Mutex;

use crate::effect::Effect;
use crate::handle::{Handle, Table};
use crate::image::{Bounds, Components, Depth, Premultiplication};
use crate::live_image::{ImageFacts, LiveImage, lend};
use crate::property::{Properties, PropertySet};
use crate::scope::{self, Action, Scope, blame};
use crate::session::Rule;
use crate::source::Input;
use crate::status::Status;

static CLIPS: Table<Clip> = Table::new();

/// A clip of a descriptor or an instance.
pub(crate) struct Clip {
    pub(crate) handle: Handle<Clip>,
    pub(crate) name: String,
    pub(crate) properties: Arc<PropertySet>,
    pub(crate) effect: OnceLock<Weak<Effect>>,
    input: Mutex<Option<Input>>,
}

impl Clip {
    pub(crate) fn new(name: &str, properties: Properties) -> Arc<Self> {
        let properties = PropertySet::new(format!("clip {name}"), properties);
        CLIPS.create(|handle| Self {
            handle,
            name: name.to_owned(),
            properties,
            effect: OnceLock::new(),
            input: Mutex::new(None),
        })
    }

    /// The clip of a handle.
    pub(crate) fn find(handle: OfxImageClipHandle) -> Option<Arc<Self>> {
        CLIPS.find(handle)
    }

    /// The instance it belongs to, while that lives.
    pub(crate) fn effect(&self) -> Option<Arc<Effect>> {
        self.effect.get()?.upgrade()
    }

    pub(crate) fn is_output(&self) -> bool {
        self.name.as_bytes() == kOfxImageEffectOutputClipName.to_bytes()
    }

    pub(crate) fn is_optional(&self) -> bool {
        self.properties.first::<i32>(kOfxImageClipPropOptional) != 0
    }

    fn is_mask(&self) -> bool {
        self.properties.first::<i32>(kOfxImageClipPropIsMask) != 0
    }

    /// What is connected.
    pub(crate) fn input(&self) -> Option<Input> {
        self.input.lock().clone()
    }

    /// The components it has now.
    pub(crate) fn components(&self) -> Components {
        Components::named(&self.properties.text(kOfxImageEffectPropComponents)).unwrap_or(Components::Rgba)
    }

    /// The premultiplication it has now.
    pub(crate) fn premultiplication(&self) -> Premultiplication {
        Premultiplication::named(&self.properties.text(kOfxImageEffectPropPreMultiplication))
            .unwrap_or(Premultiplication::Opaque)
    }

    /// The components the plug-in said it takes, in this host's order of liking.
    pub(crate) fn supported(&self) -> Vec<Components> {
        let named = self.properties.texts(kOfxImageEffectPropSupportedComponents);
        let described: Vec<Components> = named.iter().filter_map(|name| Components::named(name)).collect();
        let order = [Components::Rgba, Components::Rgb, Components::Alpha];
        order.into_iter().filter(|components| described.contains(components)).collect()
    }

    fn fitting(&self, input: &Input) -> Option<Components> {
        let supported = self.supported();
        let natural = input.source.components();
        let wanted = input.components.unwrap_or(match natural {
            Components::Alpha => Components::Alpha,
            _ if self.is_mask() => Components::Alpha,
            other => other,
        });
        let asked = input.components.is_some();
        supported.iter().copied().find(|&one| one == wanted).or(supported.first().copied().filter(|_| !asked))
    }

    /// Connects a source, or disconnects; the error says why the plug-in cannot take it.
    pub(crate) fn connect(&self, input: Option<Input>, depth: Depth) -> Result<(), String> {
        let set = &self.properties;
        let Some(input) = input else {
            set.put(kOfxImageClipPropConnected, vec![0]);
            self.put_format(kOfxImageComponentNone, kOfxBitDepthNone, Premultiplication::Opaque);
            *self.input.lock() = None;
            return Ok(());
        };
        let components = self.fitting(&input).ok_or_else(|| {
            format!("clip {} takes {:?}, not {:?}", self.name, self.supported(), input.components)
        })?;
        let (first, last) = input.range();
        set.put(kOfxImageClipPropConnected, vec![1]);
        set.put(kOfxImageEffectPropFrameRange, vec![first as f64, last as f64]);
        set.put(kOfxImageEffectPropUnmappedFrameRange, vec![first as f64, last as f64]);
        self.put_format(components.name(), depth.name(), input.premultiplication());
        *self.input.lock() = Some(input);
        Ok(())
    }

    /// Gives the clip its format before and after preferences.
    pub(crate) fn put_format(
        &self,
        components: &std::ffi::CStr,
        depth: &std::ffi::CStr,
        premultiplication: Premultiplication,
    ) {
        let set = &self.properties;
        for name in [kOfxImageEffectPropComponents, kOfxImageClipPropUnmappedComponents] {
            set.put(name, vec![components.to_owned()]);
        }
        for name in [kOfxImageEffectPropPixelDepth, kOfxImageClipPropUnmappedPixelDepth] {
            set.put(name, vec![depth.to_owned()]);
        }
        set.put(kOfxImageEffectPropPreMultiplication, vec![premultiplication.name().to_owned()]);
    }

    /// Where the frame of a time lies; FAILED where there is none.
    pub(crate) fn region(&self, time: f64) -> Result<Bounds, Status> {
        if self.is_output() {
            return self.effect().and_then(|effect| effect.default_region(time)).ok_or(Status::FAILED);
        }
        let input = self.input().ok_or(Status::FAILED)?;
        input.bounds(time).map_err(|error| self.complain(&error.to_string()))
    }

    fn complain(&self, what: &str) -> Status {
        scope::session().say(format!("clip {}: {what}", self.name));
        Status::FAILED
    }

    /// `clipGetImage`, with all its rules.
    pub(crate) fn fetch(&self, time: f64) -> Result<OfxPropertySetHandle, Status> {
        let Some(scope) = scope::current() else {
            let text = format!("clipGetImage of {} at {time} on a thread of the plug-in's own", self.name);
            self.effect().inspect(|effect| scope::blame_in(&effect.session, Rule::OutsideAction, text));
            return Err(Status::FAILED);
        };
        if !scope::allows_images(&scope) {
            blame(Rule::ImageOutOfTurn, format!("clipGetImage of {} at {time}", self.name));
            return Err(Status::FAILED);
        }
        let image =
            if self.is_output() { self.fetch_output(&scope, time) } else { self.fetch_input(&scope, time) }?;
        Ok(lend(image, &scope))
    }

    fn fetch_output(&self, scope: &Scope, time: f64) -> Result<Arc<LiveImage>, Status> {
        let output = scope.output.clone().filter(|_| time == scope.time);
        output.ok_or_else(|| {
            blame(
                Rule::ImageOutOfTurn,
                format!("the output fetched at {time}, the action's time is {}", scope.time),
            );
            Status::FAILED
        })
    }

    fn fetch_input(&self, scope: &Scope, time: f64) -> Result<Arc<LiveImage>, Status> {
        self.check_time(scope, time)?;
        let input = self.input().ok_or(Status::FAILED)?;
        let image =
            input.image(time, self.components()).map_err(|error| self.complain(&error.to_string()))?;
        let effect = self.effect().ok_or(Status::BAD_HANDLE)?;
        Ok(LiveImage::input(image, self.facts(&effect, time)))
    }

    fn check_time(&self, scope: &Scope, time: f64) -> Result<(), Status> {
        let temporal = || self.effect().is_some_and(|effect| effect.has_temporal_access(self));
        if time != scope.time && !temporal() {
            let text = format!("clip {} at {time}, the action's time is {}", self.name, scope.time);
            blame(Rule::TemporalAccess, text);
            return Err(Status::FAILED);
        }
        let ranges = scope.announced.as_ref().and_then(|announced| announced.get(&self.name));
        let announced =
            ranges.is_some_and(|ranges| ranges.iter().any(|(from, to)| (*from..=*to).contains(&time)));
        if scope.action == Action::Render && !announced {
            blame(Rule::FrameNotAnnounced, format!("clip {} at {time}, rendering {}", self.name, scope.time));
            return Err(Status::FAILED);
        }
        Ok(())
    }

    /// What is said of this clip's image of a time.
    pub(crate) fn facts(&self, effect: &Effect, time: f64) -> ImageFacts {
        ImageFacts {
            clip: self.name.clone(),
            time,
            depth: effect.options.depth,
            premultiplication: self.premultiplication(),
            order: effect.options.rows,
            render_scale: 1.0,
        }
    }
}
