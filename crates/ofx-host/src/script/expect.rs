//! Whether a value is what a step expects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::step::{Expect, Texts};
use super::value::{text_of, to_json, value_of};
use crate::instance::ParamInfo;
use crate::param::ParamValue;

/// Values kept under a name for later steps.
pub(super) type Remembered = BTreeMap<String, Value>;

/// Whether a text contains one of several, upper and lower case alike.
pub(super) fn contains_any(text: &str, wanted: &Texts) -> bool {
    let text = text.to_lowercase();
    wanted.list().iter().any(|one| text.contains(&one.to_lowercase()))
}

/// Checks a value; the error says what it is and what it should be.
pub(super) fn check(
    expect: &Expect,
    info: &ParamInfo,
    value: &ParamValue,
    remembered: &mut Remembered,
) -> Result<(), String> {
    let json = to_json(info, value);
    let text = text_of(&json);
    let refuse = |wanted: String| Err(format!("{} is {json}, expected {wanted}", info.name));
    let known =
        |name: &String| remembered.get(name).cloned().ok_or_else(|| format!("nothing remembered as {name}"));
    match expect {
        Expect { equals: Some(wanted), .. } if value_of(info, wanted)? != *value => {
            refuse(wanted.to_string())
        }
        Expect { not_equals: Some(other), .. } if value_of(info, other)? == *value => {
            refuse("another".to_owned())
        }
        Expect { contains: Some(parts), .. } if !contains_any(&text, parts) => {
            refuse(format!("one of {:?} in it", parts.list()))
        }
        Expect { not_contains: Some(parts), .. } if contains_any(&text, parts) => {
            refuse(format!("none of {:?} in it", parts.list()))
        }
        Expect { at_least: Some(least), .. } if number(value)? < *least => {
            refuse(format!("at least {least}"))
        }
        Expect { at_most: Some(most), .. } if number(value)? > *most => refuse(format!("at most {most}")),
        Expect { equals_remembered: Some(name), .. } if known(name)? != json => {
            refuse(known(name)?.to_string())
        }
        Expect { not_equals_remembered: Some(name), .. } if known(name)? == json => {
            refuse(format!("something else than {name}"))
        }
        Expect { remember: Some(name), .. } => {
            remembered.insert(name.clone(), json);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn number(value: &ParamValue) -> Result<f64, String> {
    let number = match value {
        ParamValue::Ints(list) => list.first().map(|&value| f64::from(value)),
        ParamValue::Doubles(list) => list.first().copied(),
        ParamValue::Text(text) => text.trim().parse().ok(),
        ParamValue::Nothing => None,
    };
    number.ok_or_else(|| "the value is no number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::param_kind::ParamKind;
    use serde_json::json;

    #[test]
    fn each_comparison_holds_and_fails() {
        let info =
            ParamInfo { name: "revision".into(), kind: ParamKind::Integer, options: vec![], enums: vec![] };
        let value = ParamValue::Ints(vec![3]);
        let mut remembered = Remembered::from([("before".to_owned(), json!(2))]);
        let mut check = |json: Value| {
            let expect = serde_json::from_value(json).unwrap();
            super::check(&expect, &info, &value, &mut remembered)
        };
        for (key, fits, fails) in [("equals", 3, 4), ("notEquals", 4, 3), ("atLeast", 3, 4), ("atMost", 3, 2)]
        {
            assert_eq!(check(json!({"param": "revision", key: fits})), Ok(()), "{key}");
            assert!(check(json!({"param": "revision", key: fails})).is_err(), "{key}");
        }
        assert_eq!(check(json!({"param": "revision", "notEqualsRemembered": "before"})), Ok(()));
        assert_eq!(
            check(json!({"param": "revision", "equalsRemembered": "before"})),
            Err("revision is 3, expected 2".to_owned())
        );
    }
}
