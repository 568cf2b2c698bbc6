//! Images in a plug-in's hands: fetched, read or written, released.

use std::collections::BTreeMap;
use std::sync::Arc;

use openfx_sys::*;
use parking_lot::Mutex;

use crate::buffer::{Buffer, RowOrder};
use crate::image::{Bounds, Components, Depth, Image, Premultiplication};
use crate::property::{Access, Address, PropertySet};
use crate::schema::Schema;
use crate::scope::{self, Scope};
use crate::session::Rule;

/// What is said of an image beside its pixels.
#[derive(Clone, Debug)]
pub(crate) struct ImageFacts {
    pub(crate) clip: String,
    pub(crate) time: f64,
    pub(crate) depth: Depth,
    pub(crate) premultiplication: Premultiplication,
    pub(crate) order: RowOrder,
    pub(crate) render_scale: f64,
}

/// An image's memory, and, for an input, what it has to hold still when it comes back.
pub(crate) struct LiveImage {
    pub(crate) facts: ImageFacts,
    pub(crate) buffer: Buffer,
    components: Components,
    bounds: Bounds,
    original: Option<Arc<Image>>,
}

impl LiveImage {
    /// An input image.
    pub(crate) fn input(image: Arc<Image>, facts: ImageFacts) -> Arc<Self> {
        let buffer = Buffer::filled(&image, facts.depth, facts.order);
        Arc::new(Self {
            components: image.components,
            bounds: image.bounds,
            facts,
            buffer,
            original: Some(image),
        })
    }

    /// An output image.
    pub(crate) fn output(bounds: Bounds, components: Components, facts: ImageFacts) -> Arc<Self> {
        let buffer = Buffer::unwritten(bounds, components, facts.depth, facts.order);
        Arc::new(Self { components, bounds, facts, buffer, original: None })
    }

    fn is_input(&self) -> bool {
        self.original.is_some()
    }

    fn properties(&self) -> Arc<PropertySet> {
        let facts = &self.facts;
        let unique = format!("{}@{}#{}", facts.clip, facts.time, if self.is_input() { "in" } else { "out" });
        let properties = Schema::new(Access::Read)
            .constant(kOfxPropType, kOfxTypeImage)
            .constant(kOfxImageEffectPropPixelDepth, facts.depth.name())
            .constant(kOfxImageEffectPropComponents, self.components.name())
            .constant(kOfxImageEffectPropPreMultiplication, facts.premultiplication.name())
            .doubles(kOfxImageEffectPropRenderScale, &[facts.render_scale; 2])
            .doubles(kOfxImagePropPixelAspectRatio, &[1.0])
            .ints(kOfxImagePropBounds, &self.bounds.array())
            .ints(kOfxImagePropRegionOfDefinition, &self.bounds.array())
            .ints(kOfxImagePropRowBytes, &[self.buffer.row_bytes()])
            .constant(kOfxImagePropField, kOfxImageFieldNone)
            .texts(kOfxImagePropUniqueIdentifier, &[&unique])
            .properties();
        let set = PropertySet::new(format!("image of {} at {}", facts.clip, facts.time), properties);
        set.put(kOfxImagePropData, vec![Address(self.buffer.data().expose_provenance())]);
        set
    }

    fn check(&self) {
        let facts = &self.facts;
        if !self.buffer.guards_are_intact() {
            let text = format!("bytes outside of the image of {} at {} were written", facts.clip, facts.time);
            scope::blame(Rule::MemoryOverwritten, text);
        }
        if self.original.as_ref().is_some_and(|original| !self.buffer.holds(original)) {
            let text = format!("the input image of {} at {} was written", facts.clip, facts.time);
            scope::blame(Rule::MemoryOverwritten, text);
        }
    }
}

struct Loan {
    image: Arc<LiveImage>,
    properties: Arc<PropertySet>,
    /// The action it was fetched in.
    scope: usize,
}

/// Images out, by the address of their property set.
static LOANS: Mutex<BTreeMap<usize, Loan>> = Mutex::new(BTreeMap::new());

fn scope_number(scope: &Arc<Scope>) -> usize {
    Arc::as_ptr(scope).addr()
}

/// Gives an image out, to be back by the end of the action.
pub(crate) fn lend(image: Arc<LiveImage>, scope: &Arc<Scope>) -> OfxPropertySetHandle {
    let properties = image.properties();
    let handle: OfxPropertySetHandle = properties.handle.pointer();
    let loan = Loan { image, properties, scope: scope_number(scope) };
    LOANS.lock().insert(handle.addr(), loan);
    handle
}

/// Takes an image back; false where the handle is no image that is out.
pub(crate) fn take_back(handle: OfxPropertySetHandle) -> bool {
    let loan = LOANS.lock().remove(&handle.addr());
    if let Some(loan) = &loan {
        loan.image.check();
    }
    loan.is_some()
}

/// Takes back what the action left out, and says so.
pub(crate) fn end_of_action(scope: &Arc<Scope>) {
    let number = scope_number(scope);
    let mut loans = LOANS.lock();
    let left: Vec<usize> =
        loans.iter().filter(|(_, loan)| loan.scope == number).map(|(&key, _)| key).collect();
    let left: Vec<Loan> = left.iter().filter_map(|key| loans.remove(key)).collect();
    drop(loans);
    for loan in left {
        loan.image.check();
        scope::blame(Rule::ImageLeaked, format!("the {} was not released", loan.properties.label()));
    }
}
