//! Everything a plug-in described, as JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::value::to_json;
use crate::instance::Instance;
use crate::plugin::Plugin;
use crate::property::{PropertySet, Values};

/// The plug-in, its clips and its parameters with all their properties.
pub(super) fn dump(plugin: &Plugin, instance: &Instance) -> Value {
    let clips = instance.effect.clips.read().clone();
    let clips: Map<String, Value> =
        clips.iter().map(|clip| (clip.name.clone(), properties(&clip.properties))).collect();
    let params: Vec<Value> = instance.effect.params.params().iter().map(|param| {
        let value = instance.param(&param.name).map(|info| to_json(&info, &param.value_at(0.0)));
        let kind = param.kind.name().to_string_lossy();
        json!({"name": param.name, "kind": kind, "value": value.ok(), "properties": properties(&param.properties)})
    }).collect();
    json!({
        "plugin": plugin.id(),
        "version": [plugin.version().0, plugin.version().1],
        "contexts": plugin.contexts(),
        "properties": properties(&plugin.inner.descriptor.properties),
        "clips": clips,
        "params": params,
    })
}

/// The properties of a set that are no pointers, which differ from run to run.
fn properties(set: &PropertySet) -> Value {
    let named: BTreeMap<String, Value> = set
        .snapshot()
        .into_iter()
        .filter_map(|(name, property)| Some((name.to_string_lossy().into_owned(), list(property.values)?)))
        .collect();
    json!(named)
}

fn list(values: Values) -> Option<Value> {
    match values {
        Values::Ints(list) => Some(json!(list)),
        Values::Doubles(list) => Some(json!(list)),
        Values::Strings(list) => {
            Some(list.iter().map(|text| Value::from(text.to_string_lossy().into_owned())).collect())
        }
        Values::Pointers(_) => None,
    }
}
