//! What a plug-in implements, and the macro that exports it.

use std::ffi::CStr;

use crate::{
    Change, ClipPreferences, Context, ContextDescriptor, Effect, EffectDescriptor, FramesNeeded, Host,
    Identity, Reason, RectD, RegionArgs, RegionsOfInterest, RenderArgs, Result, SequenceArgs,
};

/// An effect: what it is called, what it has, and how its instances are made.
///
/// Loading may happen many times in one process, also after unloading.
pub trait Plugin: Sized + 'static {
    /// Unique name in reverse domain order, without spaces. Projects are saved with it.
    const IDENTIFIER: &'static CStr;
    /// Major and minor version. Another major version is another effect to hosts.
    const VERSION: (u32, u32);
    /// One node.
    type Instance: Instance;

    /// Called when a host loads the plug-in. No files, threads or cards here.
    ///
    /// # Errors
    /// A reason not to be loaded.
    fn load(_host: &Host) -> Result<()> {
        Ok(())
    }

    /// Called before a host unloads the plug-in. It may be loaded again.
    fn unload() {}

    /// Says what the effect is. No files, threads or cards here.
    ///
    /// # Errors
    /// A reason not to be offered.
    fn describe(host: &Host, effect: &EffectDescriptor<'_>) -> Result<()>;

    /// Defines clips and parameters for a context.
    ///
    /// # Errors
    /// A reason not to be offered in this context.
    fn describe_in_context(host: &Host, context: Context, effect: &ContextDescriptor<'_>) -> Result<()>;

    /// Makes an instance, whose parameters have their values already.
    ///
    /// # Errors
    /// A reason not to exist.
    fn create_instance(effect: &Effect<'_>) -> Result<Self::Instance>;
}

/// The answer to an action that may be left to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Handled.
    Done,
    /// Not handled: the host does what it does by default.
    Default,
}

/// One node of an effect. Shared by all threads of the host: render actions of one instance run at
/// the same time, and beside the main thread's.
///
/// Call no method of [`Effect`] while holding a lock: hosts answer such calls by calling back.
pub trait Instance: Send + Sync + 'static {
    /// Renders the window of the output at a time.
    ///
    /// # Errors
    /// After any but [`crate::Error::Stopped`] the output shows the source, and the node a message.
    fn render(&self, effect: &Effect<'_>, args: &RenderArgs) -> Result<()>;

    /// Says whether the output is an input's image. None: it has to be rendered.
    ///
    /// # Errors
    /// Shown on the node.
    fn is_identity(&self, _effect: &Effect<'_>, _args: &RenderArgs) -> Result<Option<Identity>> {
        Ok(None)
    }

    /// Where the output has pixels, in canonical coordinates. None: where the inputs have.
    ///
    /// # Errors
    /// Shown on the node.
    fn region_of_definition(&self, _effect: &Effect<'_>, _args: &RegionArgs) -> Result<Option<RectD>> {
        Ok(None)
    }

    /// Which regions of the inputs a region of the output needs; by default the same.
    ///
    /// # Errors
    /// Shown on the node.
    fn regions_of_interest(
        &self,
        _effect: &Effect<'_>,
        _args: &RegionArgs,
        _output: RectD,
        _wanted: &mut RegionsOfInterest<'_>,
    ) -> Result<()> {
        Ok(())
    }

    /// Which frames of the inputs a frame needs; by default that frame.
    ///
    /// # Errors
    /// Shown on the node.
    fn frames_needed(&self, _effect: &Effect<'_>, _time: f64, _needed: &mut FramesNeeded<'_>) -> Result<()> {
        Ok(())
    }

    /// What clips and output should be; by default as the host likes.
    ///
    /// # Errors
    /// Shown on the node.
    fn clip_preferences(&self, _effect: &Effect<'_>, _preferences: &mut ClipPreferences<'_>) -> Result<()> {
        Ok(())
    }

    /// First and last frame of the output. None: those of the inputs.
    ///
    /// # Errors
    /// Shown on the node.
    fn time_domain(&self, _effect: &Effect<'_>) -> Result<Option<(f64, f64)>> {
        Ok(None)
    }

    /// A parameter or clip has changed, or a button was pressed. Changes that this call itself
    /// makes, and any that come while it runs, are not reported.
    ///
    /// # Errors
    /// Shown to the user.
    fn instance_changed(&self, _effect: &Effect<'_>, _change: &Change) -> Result<Reply> {
        Ok(Reply::Default)
    }

    /// Changes are about to come.
    ///
    /// # Errors
    /// Shown on the node.
    fn begin_instance_changed(&self, _effect: &Effect<'_>, _reason: Reason) -> Result<Reply> {
        Ok(Reply::Default)
    }

    /// The changes announced have come.
    ///
    /// # Errors
    /// Shown on the node.
    fn end_instance_changed(&self, _effect: &Effect<'_>, _reason: Reason) -> Result<Reply> {
        Ok(Reply::Default)
    }

    /// Frames are about to be rendered.
    ///
    /// # Errors
    /// Shown on the node.
    fn begin_sequence_render(&self, _effect: &Effect<'_>, _args: &SequenceArgs) -> Result<Reply> {
        Ok(Reply::Default)
    }

    /// The frames announced have been rendered, or the render was given up.
    ///
    /// # Errors
    /// Shown on the node.
    fn end_sequence_render(&self, _effect: &Effect<'_>, _args: &SequenceArgs) -> Result<Reply> {
        Ok(Reply::Default)
    }

    /// Everything worth saving has to be in parameters now.
    ///
    /// # Errors
    /// Shown on the node.
    fn sync_private_data(&self, _effect: &Effect<'_>) -> Result<Reply> {
        Ok(Reply::Default)
    }

    /// Memory is short: drop what can be made again.
    ///
    /// # Errors
    /// Shown on the node.
    fn purge_caches(&self, _effect: &Effect<'_>) -> Result<Reply> {
        Ok(Reply::Default)
    }

    /// The instance is about to be dropped.
    fn destroy(&self, _effect: &Effect<'_>) {}
}

/// Exports a [`Plugin`] from a cdylib: exactly the three symbols hosts look for. Once per library.
///
/// ```ignore
/// ofx::export_plugin!(Gain);
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        #[allow(unsafe_code)]
        const _: () = {
            use ::std::ffi::{c_char, c_int, c_void};
            use $crate::sys::{OfxHost, OfxPlugin, OfxPropertySetHandle, OfxStatus};

            static ENTRY: $crate::entry::Entry<$plugin> = $crate::entry::Entry::new();
            static PLUGIN: $crate::entry::PluginTable =
                $crate::entry::PluginTable::new::<$plugin>(set_host, main_entry);

            unsafe extern "C" fn set_host(host: *mut OfxHost) {
                ENTRY.set_host(host);
            }

            unsafe extern "C" fn main_entry(
                action: *const c_char,
                handle: *const c_void,
                in_args: OfxPropertySetHandle,
                out_args: OfxPropertySetHandle,
            ) -> OfxStatus {
                // SAFETY: the host keeps to the standard.
                unsafe { ENTRY.main(action, handle, in_args, out_args) }
            }

            #[unsafe(no_mangle)]
            extern "C" fn OfxGetNumberOfPlugins() -> c_int {
                1
            }

            #[unsafe(no_mangle)]
            extern "C" fn OfxGetPlugin(index: c_int) -> *mut OfxPlugin {
                PLUGIN.at(index)
            }

            // Stand-alone Fusion refuses plug-ins without it; the host comes again with setHost.
            #[unsafe(no_mangle)]
            extern "C" fn OfxSetHost(_host: *const OfxHost) -> OfxStatus {
                $crate::Status::OK.0
            }
        };
    };
}
