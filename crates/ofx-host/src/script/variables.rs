//! `${NAME}` in the strings of a script.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ScriptError;

/// Replaces variables in all strings of a value, keys left out.
pub(super) fn substitute(value: &mut Value, variables: &BTreeMap<String, String>) -> Result<(), ScriptError> {
    match value {
        Value::String(text) => *text = filled(text, variables)?,
        Value::Array(list) => list.iter_mut().try_for_each(|value| substitute(value, variables))?,
        Value::Object(fields) => fields.values_mut().try_for_each(|value| substitute(value, variables))?,
        _ => (),
    }
    Ok(())
}

fn filled(text: &str, variables: &BTreeMap<String, String>) -> Result<String, ScriptError> {
    let mut parts = text.split("${");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((name, rest)) = part.split_once('}') else {
            result.push_str("${");
            result.push_str(part);
            continue;
        };
        result.push_str(variables.get(name).ok_or_else(|| ScriptError::Variable(name.to_owned()))?);
        result.push_str(rest);
    }
    Ok(result)
}
