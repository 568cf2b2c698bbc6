//! The node: each OpenFX action handed to the file that does it. It keeps nothing that matters; all
//! state is in the parameters and the store, so clones and recreated nodes behave alike.

use std::sync::atomic::{AtomicBool, Ordering};

use ofx::{
    Change, ClipPreferences, Effect, FramesNeeded, Identity, Instance, MessageKind, RectD, RegionArgs,
    RenderArgs, Reply, Result,
};

use crate::buttons;
use crate::describe::{EDITED, MASK, SOURCE};
use crate::render::{self, Rendered};
use crate::settings::Look;

/// One node in a host.
#[derive(Debug, Default)]
pub struct Node {
    /// Whether this node has put a message on itself that it owes to take off.
    warned: AtomicBool,
}

impl Node {
    fn warn(&self, effect: &Effect<'_>, why: &str) {
        log::warn!("{why}");
        if effect.set_persistent(MessageKind::Warning, why) {
            self.warned.store(true, Ordering::Relaxed);
        }
    }

    fn take_warning_off(&self, effect: &Effect<'_>) {
        if self.warned.swap(false, Ordering::Relaxed) {
            effect.clear_persistent();
        }
    }
}

impl Instance for Node {
    fn render(&self, effect: &Effect<'_>, args: &RenderArgs) -> Result<()> {
        match render::render(effect, args)? {
            Rendered::Whole => self.take_warning_off(effect),
            Rendered::SourceFor(why) => self.warn(effect, &why),
        }
        Ok(())
    }

    fn is_identity(&self, effect: &Effect<'_>, args: &RenderArgs) -> Result<Option<Identity>> {
        render::identity(effect, args)
    }

    fn region_of_definition(&self, effect: &Effect<'_>, args: &RegionArgs) -> Result<Option<RectD>> {
        effect.source()?.region_of_definition(args.time).map(Some)
    }

    fn frames_needed(&self, effect: &Effect<'_>, time: f64, needed: &mut FramesNeeded<'_>) -> Result<()> {
        let look = Look::read(effect, time)?;
        needed.clip(SOURCE, time, time)?;
        if look.mask.apply {
            needed.clip(MASK, time, time)?;
        }
        if look.hold_keys && look.keys.contains(render::frame_at(time)) {
            needed.clip(EDITED, time, time)?;
        }
        Ok(())
    }

    fn clip_preferences(&self, _effect: &Effect<'_>, preferences: &mut ClipPreferences<'_>) -> Result<()> {
        preferences.frame_varying(true);
        Ok(())
    }

    fn instance_changed(&self, effect: &Effect<'_>, change: &Change) -> Result<Reply> {
        if change.is_press(&change.name) && buttons::press(effect, &change.name) {
            return Ok(Reply::Done);
        }
        Ok(Reply::Default)
    }
}
