//! Plug-ins: found in a binary, loaded and described as hosts do.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::Library;
use openfx_sys::*;

use crate::buffer::RowOrder;
use crate::effect::{Call, Effect, EffectOptions, EffectParts, MainEntry};
use crate::host::{Host, HostState};
use crate::image::Depth;
use crate::param::ParamSet;
use crate::property::{Access, Properties, PropertySet, Values};
use crate::schema::Schema;
use crate::schemas;
use crate::scope::{Action, blame_in};
use crate::session::Rule;
use crate::status::Status;

/// The functions a plug-in binary exports.
#[derive(Clone, Copy)]
pub struct EntryPoints {
    /// `OfxGetNumberOfPlugins`.
    pub number_of_plugins: unsafe extern "C" fn() -> c_int,
    /// `OfxGetPlugin`.
    pub plugin: unsafe extern "C" fn(c_int) -> *mut OfxPlugin,
    /// `OfxSetHost`, which older plug-ins do not have.
    pub set_host: Option<unsafe extern "C" fn(*const OfxHost) -> OfxStatus>,
}

/// Why a plug-in could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The dynamic loader refused.
    #[error("{}: {source}", .path.display())]
    Library {
        /// The binary.
        path: PathBuf,
        /// What the loader says.
        source: libloading::Error,
    },
    /// Nothing to load under the path.
    #[error("{}: no plug-in bundle", .0.display())]
    NoBundle(PathBuf),
    /// The binary has none of this identifier.
    #[error("no plug-in {wanted}, there are: {}", .there.join(", "))]
    NotThere {
        /// The identifier asked for.
        wanted: String,
        /// Those found.
        there: Vec<String>,
    },
    /// A null pointer where a function or a string has to be.
    #[error("plug-in {index}: {what} is null")]
    Null {
        /// Its number in the binary.
        index: c_int,
        /// The member.
        what: &'static str,
    },
    /// Another API than image effects.
    #[error("{id}: api {api} version {version}, this host runs OfxImageEffectPluginAPI 1")]
    OtherApi {
        /// Its identifier.
        id: String,
        /// Its API.
        api: String,
        /// The API's version.
        version: c_int,
    },
    /// It refused an action.
    #[error("{id}: {action:?} answered {status}")]
    Refused {
        /// Its identifier.
        id: String,
        /// The action.
        action: Action,
        /// The answer.
        status: Status,
    },
}

/// A plug-in, loaded and described.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) inner: Arc<Loaded>,
}

pub(crate) struct Loaded {
    pub(crate) host: Arc<HostState>,
    pub(crate) id: String,
    version: (u32, u32),
    file: String,
    entry: MainEntry,
    pub(crate) descriptor: Arc<Effect>,
    pub(crate) contexts: BTreeMap<String, Arc<Effect>>,
}

/// What a plug-in's struct says, copied.
struct Found {
    id: String,
    version: (u32, u32),
    entry: MainEntry,
    set_host: unsafe extern "C" fn(*mut OfxHost),
}

impl Plugin {
    /// Loads a plug-in from a binary, a bundle, or a folder of bundles; the first one where no
    /// identifier is given. The library stays loaded for the life of the process.
    ///
    /// # Errors
    /// Where there is none, or it refuses to be loaded or described.
    pub fn load(host: &Host, path: &Path, id: Option<&str>) -> Result<Self, LoadError> {
        let binaries = crate::bundle::binaries(path);
        let mut last = LoadError::NoBundle(path.to_owned());
        for binary in binaries {
            match Self::load_binary(host, &binary, id) {
                Err(error @ LoadError::NotThere { .. }) => last = error,
                other => return other,
            }
        }
        Err(last)
    }

    fn load_binary(host: &Host, path: &Path, id: Option<&str>) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Library { path: path.to_owned(), source };
        // SAFETY: running a plug-in's initialisers is what the caller asks for.
        let library = unsafe { Library::new(path) }.map_err(failed)?;
        // SAFETY: these symbols have these types by the standard.
        let points = unsafe {
            EntryPoints {
                number_of_plugins: *library.get(b"OfxGetNumberOfPlugins\0").map_err(failed)?,
                plugin: *library.get(b"OfxGetPlugin\0").map_err(failed)?,
                set_host: library.get(b"OfxSetHost\0").ok().map(|symbol| *symbol),
            }
        };
        std::mem::forget(library);
        let file = bundle_of(path).display().to_string();
        // SAFETY: the library stays loaded, and its functions are the standard's.
        unsafe { Self::start(host, points, id, &file) }
    }

    /// Loads a plug-in that is linked into this process.
    ///
    /// # Safety
    /// The functions behave as the standard says and stay callable for the life of the process.
    ///
    /// # Errors
    /// Where there is none of this identifier, or it refuses to be loaded or described.
    pub unsafe fn from_entry_points(
        host: &Host,
        points: EntryPoints,
        id: Option<&str>,
    ) -> Result<Self, LoadError> {
        // SAFETY: the caller's promise.
        unsafe { Self::start(host, points, id, "") }
    }

    /// The order of hosts: a first round to learn what the plug-in is, unload, and a second to use it.
    unsafe fn start(
        host: &Host,
        points: EntryPoints,
        id: Option<&str>,
        file: &str,
    ) -> Result<Self, LoadError> {
        let state = &host.state;
        // SAFETY: the caller's promise.
        let found = unsafe { find(state, points, id) }?;
        let first = describe(state, &found, file)?;
        unload(state, found.entry);
        let second = describe(state, &found, file)?;
        if plain(&first.0.properties) != plain(&second.0.properties) {
            let text = format!("{} describes itself otherwise after Unload and Load", found.id);
            blame_in(&state.session, Rule::BadAnswer, text);
        }
        let (descriptor, contexts) = second;
        let Found { id, version, entry, .. } = found;
        let inner =
            Loaded { host: state.clone(), id, version, file: file.to_owned(), entry, descriptor, contexts };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Major and minor version.
    #[must_use]
    pub fn version(&self) -> (u32, u32) {
        self.inner.version
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> String {
        self.inner.descriptor.properties.text(kOfxPropLabel)
    }

    /// The bundle it came from; empty where it is linked into this process.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.inner.file
    }

    /// The contexts it supports, by the standard's names.
    #[must_use]
    pub fn contexts(&self) -> Vec<String> {
        self.inner.contexts.keys().cloned().collect()
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        unload(&self.host, self.entry);
    }
}

/// The bundle folder of a binary in one, else its own folder.
fn bundle_of(binary: &Path) -> PathBuf {
    let bundle =
        binary.ancestors().find(|path| path.extension().is_some_and(|extension| extension == "bundle"));
    bundle.or(binary.parent()).unwrap_or(binary).to_owned()
}

/// # Safety
/// The functions are the standard's.
unsafe fn find(host: &HostState, points: EntryPoints, id: Option<&str>) -> Result<Found, LoadError> {
    if let Some(set_host) = points.set_host {
        // SAFETY: the caller's promise; the host struct lives for ever.
        let status = Status(unsafe { set_host(host.ofx()) });
        if status != Status::OK {
            return Err(LoadError::Refused { id: "OfxSetHost".to_owned(), action: Action::Load, status });
        }
    }
    // SAFETY: the caller's promise.
    let number = unsafe { (points.number_of_plugins)() };
    let mut there = Vec::new();
    for index in 0..number {
        // SAFETY: an index below the number.
        let found = unsafe { copy(index, (points.plugin)(index)) }?;
        if id.is_none_or(|id| id == found.id) {
            return Ok(found);
        }
        there.push(found.id);
    }
    Err(LoadError::NotThere { wanted: id.unwrap_or("at all").to_owned(), there })
}

/// # Safety
/// Null, or what `OfxGetPlugin` returned.
unsafe fn copy(index: c_int, plugin: *mut OfxPlugin) -> Result<Found, LoadError> {
    let null = |what| LoadError::Null { index, what };
    // SAFETY: null or a struct that lives as long as the library.
    let plugin = unsafe { plugin.as_ref() }.ok_or(null("the plug-in"))?;
    if plugin.pluginApi.is_null() || plugin.pluginIdentifier.is_null() {
        return Err(null("a name"));
    }
    // SAFETY: not null, so C strings by the standard.
    let (api, id) = unsafe { (CStr::from_ptr(plugin.pluginApi), CStr::from_ptr(plugin.pluginIdentifier)) };
    let id = id.to_string_lossy().into_owned();
    if api != kOfxImageEffectPluginApi || plugin.apiVersion != kOfxImageEffectPluginApiVersion {
        let api = api.to_string_lossy().into_owned();
        return Err(LoadError::OtherApi { id, api, version: plugin.apiVersion });
    }
    Ok(Found {
        id,
        version: (plugin.pluginVersionMajor, plugin.pluginVersionMinor),
        entry: plugin.mainEntry.ok_or(null("mainEntry"))?,
        set_host: plugin.setHost.ok_or(null("setHost"))?,
    })
}

type Described = (Arc<Effect>, BTreeMap<String, Arc<Effect>>);

/// setHost, Load, Describe, DescribeInContext for each context.
fn describe(host: &Arc<HostState>, found: &Found, file: &str) -> Result<Described, LoadError> {
    // SAFETY: the plug-in's own function; the host struct lives for ever.
    unsafe { (found.set_host)(host.ofx()) };
    let load = Call::new(Action::Load).send(found.entry, std::ptr::null(), &host.session);
    accept(found, Action::Load, load)?;
    let descriptor = descriptor(host, found.entry, schemas::plugin_descriptor(file));
    let status = descriptor.call(Call::new(Action::Describe));
    accept(found, Action::Describe, status)?;
    let mut contexts = BTreeMap::new();
    for context in descriptor.properties.texts(kOfxImageEffectPropSupportedContexts) {
        let effect = describe_in_context(host, found, &descriptor, &context)?;
        contexts.insert(context, effect);
    }
    Ok((descriptor, contexts))
}

fn describe_in_context(
    host: &Arc<HostState>,
    found: &Found,
    descriptor: &Effect,
    context: &str,
) -> Result<Arc<Effect>, LoadError> {
    let effect = self::descriptor(host, found.entry, descriptor.properties.snapshot());
    let arguments = Schema::new(Access::Read).texts(kOfxImageEffectPropContext, &[context]).properties();
    let arguments = PropertySet::new("in arguments", arguments);
    let status = effect.call(Call::new(Action::DescribeInContext).in_args(&arguments));
    accept(found, Action::DescribeInContext, status)?;
    Ok(effect)
}

fn descriptor(host: &Arc<HostState>, entry: MainEntry, properties: Properties) -> Arc<Effect> {
    let options = EffectOptions { depth: Depth::Float, rows: RowOrder::BottomUp, range: (0.0, 0.0) };
    Effect::new(EffectParts {
        is_instance: false,
        entry,
        session: host.session.clone(),
        properties: PropertySet::new("plug-in descriptor", properties),
        described: Properties::new(),
        params: ParamSet::descriptor(),
        clips: Vec::new(),
        options,
    })
}

fn accept(found: &Found, action: Action, status: Status) -> Result<(), LoadError> {
    if status.is_fine() { Ok(()) } else { Err(LoadError::Refused { id: found.id.clone(), action, status }) }
}

fn unload(host: &HostState, entry: MainEntry) {
    let status = Call::new(Action::Unload).send(entry, std::ptr::null(), &host.session);
    if !status.is_fine() {
        blame_in(&host.session, Rule::BadAnswer, format!("Unload answered {status}"));
    }
}

/// A set's values without pointers, which may differ from load to load.
fn plain(set: &PropertySet) -> Vec<Values> {
    let values = set.snapshot().into_values().map(|property| property.values);
    values.filter(|values| !matches!(values, Values::Pointers(_))).collect()
}
