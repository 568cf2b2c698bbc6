//! Parameters: definition, values, key frames.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char};
use std::sync::{Arc, OnceLock, Weak};

use openfx_sys::*;
use parking_lot::Mutex;

use crate::effect::Effect;
use crate::handle::{Handle, Table};
use crate::param_kind::{EDITABLE, ParamKind, Shape};
use crate::property::{Access, PropertySet, c_string};
use crate::schema::Schema;
use crate::schemas;

static PARAM_SETS: Table<ParamSet> = Table::new();
static PARAMS: Table<Param> = Table::new();

/// A parameter's value.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// Integer, boolean (0, 1) and choice (index) parameters.
    Ints(Vec<i32>),
    /// Double and colour parameters.
    Doubles(Vec<f64>),
    /// String, string choice and custom parameters.
    Text(String),
    /// Buttons, groups and pages.
    Nothing,
}

/// A value at a time.
pub type Key = (f64, ParamValue);

/// The parameters of a descriptor or an instance.
pub(crate) struct ParamSet {
    pub(crate) handle: Handle<ParamSet>,
    pub(crate) properties: Arc<PropertySet>,
    pub(crate) effect: OnceLock<Weak<Effect>>,
    params: Mutex<Vec<Arc<Param>>>,
    pub(crate) open_edits: Mutex<usize>,
}

/// One parameter.
pub(crate) struct Param {
    pub(crate) handle: Handle<Param>,
    pub(crate) name: String,
    pub(crate) kind: ParamKind,
    pub(crate) properties: Arc<PropertySet>,
    /// The instance's set; None on a descriptor, whose parameters have no values.
    pub(crate) owner: Option<Weak<ParamSet>>,
    state: Mutex<State>,
}

struct State {
    value: ParamValue,
    /// In the order of time; where there are any, they replace the value.
    keys: Vec<Key>,
    /// Texts that were handed out: their pointers stay good for the parameter's life.
    handed_out: HashSet<CString>,
}

impl ParamSet {
    /// An empty set to describe into.
    pub(crate) fn descriptor() -> Arc<Self> {
        Self::with(PropertySet::new("parameter set", schemas::param_set(Access::Describe)))
    }

    /// The set of a new instance, each parameter at its default.
    pub(crate) fn instance(descriptor: &Self) -> Arc<Self> {
        let properties = Schema::from(descriptor.properties.snapshot()).frozen();
        let properties = properties.set_access(Access::Write, &[kOfxPropParamSetNeedsSyncing]).properties();
        let set = Self::with(PropertySet::new("parameter set", properties));
        let owner = Arc::downgrade(&set);
        let params = descriptor.params().iter().map(|param| param.instantiate(owner.clone())).collect();
        *set.params.lock() = params;
        set
    }

    fn with(properties: Arc<PropertySet>) -> Arc<Self> {
        PARAM_SETS.create(|handle| Self {
            handle,
            properties,
            effect: OnceLock::new(),
            params: Mutex::default(),
            open_edits: Mutex::new(0),
        })
    }

    /// The set of a handle.
    pub(crate) fn find(handle: OfxParamSetHandle) -> Option<Arc<Self>> {
        PARAM_SETS.find(handle)
    }

    /// The effect this set belongs to, while it lives.
    pub(crate) fn effect(&self) -> Option<Arc<Effect>> {
        self.effect.get()?.upgrade()
    }

    /// Defines a parameter; None where the name is taken.
    pub(crate) fn define(&self, kind: ParamKind, name: &str) -> Option<Arc<Param>> {
        let mut params = self.params.lock();
        if params.iter().any(|param| param.name == name) {
            return None;
        }
        let properties = PropertySet::new(format!("parameter {name}"), kind.properties(name));
        let param = Param::create(kind, name, properties, None, ParamValue::Nothing);
        params.push(param.clone());
        Some(param)
    }

    /// A parameter by name.
    pub(crate) fn param(&self, name: &str) -> Option<Arc<Param>> {
        self.params.lock().iter().find(|param| param.name == name).cloned()
    }

    /// All parameters in the order of their definition.
    pub(crate) fn params(&self) -> Vec<Arc<Param>> {
        self.params.lock().clone()
    }
}

impl Param {
    fn create(
        kind: ParamKind,
        name: &str,
        properties: Arc<PropertySet>,
        owner: Option<Weak<ParamSet>>,
        value: ParamValue,
    ) -> Arc<Self> {
        let state = Mutex::new(State { value, keys: Vec::new(), handed_out: HashSet::new() });
        PARAMS.create(|handle| Self { handle, name: name.to_owned(), kind, properties, owner, state })
    }

    fn instantiate(&self, owner: Weak<ParamSet>) -> Arc<Self> {
        let described = self.properties.snapshot();
        let schema = Schema::from(described).frozen().set_access(Access::Edit, EDITABLE);
        let properties = PropertySet::new(
            format!("parameter {}", self.name),
            schema.constant(kOfxPropType, kOfxTypeParameterInstance).properties(),
        );
        let value = default_value(self.kind, &properties);
        Self::create(self.kind, &self.name, properties, Some(owner), value)
    }

    /// The parameter of a handle.
    pub(crate) fn find(handle: OfxParamHandle) -> Option<Arc<Self>> {
        PARAMS.find(handle)
    }

    /// The effect instance this parameter belongs to.
    pub(crate) fn effect(&self) -> Option<Arc<Effect>> {
        self.owner.as_ref()?.upgrade()?.effect()
    }

    /// The value at a time in frames.
    pub(crate) fn value_at(&self, time: f64) -> ParamValue {
        let state = self.state.lock();
        interpolate(&state.keys, time).unwrap_or_else(|| state.value.clone())
    }

    /// Sets the value for all times: keys go.
    pub(crate) fn set(&self, value: ParamValue) {
        let mut state = self.state.lock();
        state.keys.clear();
        state.value = value;
        drop(state);
        self.properties.put(kOfxParamPropIsAnimating, vec![0]);
    }

    /// Sets a key at a time.
    pub(crate) fn set_at(&self, time: f64, value: ParamValue) {
        let mut state = self.state.lock();
        state.keys.retain(|(at, _)| *at != time);
        state.keys.push((time, value));
        state.keys.sort_by(|a, b| a.0.total_cmp(&b.0));
        drop(state);
        self.properties.put(kOfxParamPropIsAnimating, vec![1]);
    }

    /// The keys in the order of time.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.state.lock().keys.clone()
    }

    /// Removes the keys for which `gone` holds; the number removed.
    pub(crate) fn remove_keys(&self, gone: impl Fn(f64) -> bool) -> usize {
        let mut state = self.state.lock();
        let before = state.keys.len();
        if let Some((_, first)) = state.keys.first().cloned() {
            state.value = first;
        }
        state.keys.retain(|(time, _)| !gone(*time));
        let (left, removed) = (state.keys.len(), before - state.keys.len());
        drop(state);
        self.properties.put(kOfxParamPropIsAnimating, vec![i32::from(left > 0)]);
        removed
    }

    /// A pointer to a text that stays good as long as the parameter.
    pub(crate) fn hand_out(&self, text: &str) -> *const c_char {
        let text = c_string(text);
        let mut state = self.state.lock();
        if let Some(known) = state.handed_out.get(&text) {
            return known.as_ptr();
        }
        let pointer = text.as_ptr();
        state.handed_out.insert(text);
        pointer
    }

    /// Why a value is out of range, None where it is fine.
    pub(crate) fn objection(&self, value: &ParamValue) -> Option<String> {
        match (self.kind, value) {
            (ParamKind::Boolean, ParamValue::Ints(list)) if !matches!(list[..], [0 | 1]) => {
                Some(format!("{list:?} is neither 0 nor 1"))
            }
            (ParamKind::Choice, ParamValue::Ints(list)) => self.choice_objection(list),
            (ParamKind::Boolean, _) => None,
            (_, ParamValue::Ints(list)) => self.range_objection(list),
            (_, ParamValue::Doubles(list)) => self.range_objection(list),
            _ => None,
        }
    }

    fn choice_objection(&self, list: &[i32]) -> Option<String> {
        let options = self.properties.dimension(kOfxParamPropChoiceOption).unwrap_or(0);
        let index = usize::try_from(*list.first()?).ok();
        let known = index.is_some_and(|index| index < options);
        (!known).then(|| format!("choice {list:?} of {options} options"))
    }

    fn range_objection<T>(&self, list: &[T]) -> Option<String>
    where
        T: crate::property::Element + PartialOrd + std::fmt::Debug,
    {
        let low = self.properties.values::<T>(kOfxParamPropMin).unwrap_or_default();
        let high = self.properties.values::<T>(kOfxParamPropMax).unwrap_or_default();
        let outside = |((value, low), high): ((&T, &T), &T)| value < low || value > high;
        let bad = list.iter().zip(&low).zip(&high).any(outside);
        bad.then(|| format!("{list:?} is not within {low:?} and {high:?}"))
    }

    /// A flag among its properties.
    pub(crate) fn flag(&self, name: &CStr) -> bool {
        self.properties.first::<i32>(name) != 0
    }
}

fn default_value(kind: ParamKind, properties: &PropertySet) -> ParamValue {
    match kind.shape() {
        Shape::Nothing => ParamValue::Nothing,
        Shape::Ints(_) => ParamValue::Ints(properties.values(kOfxParamPropDefault).unwrap_or_default()),
        Shape::Doubles(_) => ParamValue::Doubles(properties.values(kOfxParamPropDefault).unwrap_or_default()),
        Shape::Text => ParamValue::Text(properties.text(kOfxParamPropDefault)),
    }
}

/// The keys' value at a time: held outside of them, linear between doubles, else the earlier key's.
fn interpolate(keys: &[Key], time: f64) -> Option<ParamValue> {
    let next = keys.iter().position(|(at, _)| *at > time).unwrap_or(keys.len());
    let before = keys.get(next.saturating_sub(1))?;
    let Some(after) = keys.get(next).filter(|_| next > 0) else { return Some(before.1.clone()) };
    let (ParamValue::Doubles(a), ParamValue::Doubles(b)) = (&before.1, &after.1) else {
        return Some(before.1.clone());
    };
    let part = (time - before.0) / (after.0 - before.0);
    Some(ParamValue::Doubles(a.iter().zip(b).map(|(a, b)| a + (b - a) * part).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> ParamValue {
        ParamValue::Doubles(vec![value])
    }

    #[test]
    fn keys_hold_outside_and_are_linear_between() {
        let keys = [(10.0, number(1.0)), (20.0, number(3.0))];
        assert_eq!(interpolate(&keys, 5.0), Some(number(1.0)));
        assert_eq!(interpolate(&keys, 15.0), Some(number(2.0)));
        assert_eq!(interpolate(&keys, 20.0), Some(number(3.0)));
        assert_eq!(interpolate(&keys, 25.0), Some(number(3.0)));
        assert_eq!(interpolate(&[], 5.0), None);
    }

    #[test]
    fn values_are_held_against_the_described_range() {
        let set = ParamSet::descriptor();
        let gain = set.define(ParamKind::Double, "gain").unwrap();
        gain.properties.put(kOfxParamPropMax, vec![2.0]);
        assert_eq!(gain.objection(&number(1.0)), None);
        assert!(gain.objection(&number(3.0)).is_some());
        assert!(set.define(ParamKind::Integer, "gain").is_none());
    }
}
