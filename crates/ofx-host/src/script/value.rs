//! Parameter values as JSON.

use serde_json::{Map, Value, json};

use crate::instance::{ParamInfo, SavedParam};
use crate::param::ParamValue;
use crate::param_kind::{ParamKind, Shape};

/// The value JSON means for a parameter; the error says what it should be.
pub(super) fn value_of(info: &ParamInfo, json: &Value) -> Result<ParamValue, String> {
    let wrong = |wants: &str| format!("parameter {}: {json} is not {wants}", info.name);
    match (info.kind, info.kind.shape()) {
        (ParamKind::Boolean, _) => {
            boolean(json).map(|one| ParamValue::Ints(vec![one])).ok_or_else(|| wrong("a boolean"))
        }
        (ParamKind::Choice, _) => {
            let wants = format!("one of {:?}", info.options);
            option(json, &info.options).map(|one| ParamValue::Ints(vec![one])).ok_or_else(|| wrong(&wants))
        }
        (ParamKind::StrChoice, _) => {
            let text = json.as_str().ok_or_else(|| wrong("a text"))?;
            let index = info.options.iter().position(|label| label == text);
            let behind = index.and_then(|index| info.enums.get(index)).cloned();
            Ok(ParamValue::Text(behind.unwrap_or_else(|| text.to_owned())))
        }
        (_, Shape::Ints(count)) => {
            let wants = format!("{count} integers");
            numbers(json, count, integer).map(ParamValue::Ints).ok_or_else(|| wrong(&wants))
        }
        (_, Shape::Doubles(count)) => {
            let wants = format!("{count} numbers");
            numbers(json, count, double).map(ParamValue::Doubles).ok_or_else(|| wrong(&wants))
        }
        (_, Shape::Text) => {
            json.as_str().map(|text| ParamValue::Text(text.to_owned())).ok_or_else(|| wrong("a text"))
        }
        (_, Shape::Nothing) => Err(format!("parameter {} has no value", info.name)),
    }
}

/// The value or keys JSON means: `{"keys": {"1001": 0.5}}` are keys.
pub(super) fn saved_of(info: &ParamInfo, json: &Value) -> Result<SavedParam, String> {
    let Some(keys) = json.get("keys") else { return Ok(SavedParam::Value(value_of(info, json)?)) };
    let keys = keys.as_object().ok_or_else(|| format!("parameter {}: keys by time", info.name))?;
    let key = |(time, value): (&String, &Value)| {
        let time: f64 = time.parse().map_err(|_| format!("parameter {}: {time} is no time", info.name))?;
        Ok((time, value_of(info, value)?))
    };
    Ok(SavedParam::Keys(keys.iter().map(key).collect::<Result<_, String>>()?))
}

fn boolean(json: &Value) -> Option<i32> {
    match json {
        Value::Bool(on) => Some(i32::from(*on)),
        Value::Number(number) => number.as_i64().filter(|number| matches!(number, 0 | 1)).map(|n| n as i32),
        Value::String(text) => text.parse::<bool>().ok().map(i32::from),
        _ => None,
    }
}

fn option(json: &Value, options: &[String]) -> Option<i32> {
    match json {
        Value::String(text) => options.iter().position(|label| label == text).map(|index| index as i32),
        other => integer(other),
    }
}

fn integer(json: &Value) -> Option<i32> {
    match json {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64().and_then(|number| i32::try_from(number).ok()),
    }
}

fn double(json: &Value) -> Option<f64> {
    match json {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}

fn numbers<T>(json: &Value, count: usize, one: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    let list = match json {
        Value::Array(list) => list.iter().map(one).collect::<Option<Vec<T>>>()?,
        other => vec![one(other)?],
    };
    (list.len() == count).then_some(list)
}

/// A value as JSON that `value_of` reads back; a choice by its label.
pub(super) fn to_json(info: &ParamInfo, value: &ParamValue) -> Value {
    match (info.kind, value) {
        (ParamKind::Boolean, ParamValue::Ints(list)) => json!(list[..] == [1]),
        (ParamKind::Choice, ParamValue::Ints(list)) => {
            let index = list.first().and_then(|&index| usize::try_from(index).ok());
            index
                .and_then(|index| info.options.get(index))
                .map_or_else(|| json!(list.first()), |label| json!(label))
        }
        (_, ParamValue::Ints(list)) => plain_or_list(list),
        (_, ParamValue::Doubles(list)) => plain_or_list(list),
        (_, ParamValue::Text(text)) => json!(text),
        (_, ParamValue::Nothing) => Value::Null,
    }
}

fn plain_or_list<T: serde::Serialize>(list: &[T]) -> Value {
    if let [one] = list { json!(one) } else { json!(list) }
}

/// A value or keys as JSON.
pub(super) fn saved_to_json(info: &ParamInfo, saved: &SavedParam) -> Value {
    match saved {
        SavedParam::Value(value) => to_json(info, value),
        SavedParam::Keys(keys) => {
            let keys: Map<String, Value> =
                keys.iter().map(|(time, value)| (time.to_string(), to_json(info, value))).collect();
            json!({ "keys": keys })
        }
    }
}

/// A value as text, for `contains`.
pub(super) fn text_of(json: &Value) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: ParamKind) -> ParamInfo {
        let options = vec!["linear".to_owned(), "sRGB".to_owned()];
        ParamInfo { name: "p".to_owned(), kind, options, enums: Vec::new() }
    }

    #[test]
    fn every_kind_is_written_and_read_back() {
        let cases = [
            (ParamKind::Boolean, json!(true)),
            (ParamKind::Choice, json!("sRGB")),
            (ParamKind::Integer, json!(7)),
            (ParamKind::Double2D, json!([0.5, 2.0])),
            (ParamKind::String, json!("1001, 1042")),
        ];
        for (kind, json) in cases {
            let value = value_of(&info(kind), &json).unwrap();
            assert_eq!(to_json(&info(kind), &value), json, "{kind:?}");
        }
        assert_eq!(value_of(&info(ParamKind::Integer), &json!("12")), Ok(ParamValue::Ints(vec![12])));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let error = value_of(&info(ParamKind::Choice), &json!("log")).unwrap_err();
        assert_eq!(error, r#"parameter p: "log" is not one of ["linear", "sRGB"]"#);
        assert!(value_of(&info(ParamKind::Integer), &json!(1.5)).is_err());
        assert!(value_of(&info(ParamKind::PushButton), &json!(1)).is_err());
    }

    #[test]
    fn keys_are_written_by_time() {
        let saved = saved_of(&info(ParamKind::Double), &json!({"keys": {"1001": 0, "1010": 1}})).unwrap();
        assert_eq!(
            saved_to_json(&info(ParamKind::Double), &saved),
            json!({"keys": {"1001": 0.0, "1010": 1.0}})
        );
    }
}
