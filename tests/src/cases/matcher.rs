//! Patterns for JSON: what a case says about an answer.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// Values that earlier steps saved.
pub type Saved = BTreeMap<String, Value>;

/// Compares a value with a pattern.
///
/// # Errors
/// Where they differ, with the address of the difference.
pub fn matches(pattern: &Value, value: Option<&Value>, saved: &Saved) -> Result<(), String> {
    at("", pattern, value, saved)
}

fn at(path: &str, pattern: &Value, value: Option<&Value>, saved: &Saved) -> Result<(), String> {
    if let Some(operators) = operators(pattern) {
        return operators.iter().try_for_each(|(name, wanted)| operator(path, name, wanted, value, saved));
    }
    let Some(value) = value else { return Err(format!("{path}: missing, wanted {pattern}")) };
    match (pattern, value) {
        (Value::Object(wanted), Value::Object(members)) => {
            wanted.iter().try_for_each(|(key, wanted)| at(&format!("{path}/{key}"), wanted, members.get(key), saved))
        }
        (Value::Array(wanted), Value::Array(items)) if wanted.len() == items.len() => {
            let pairs = wanted.iter().zip(items).enumerate();
            pairs.into_iter().try_for_each(|(nth, (wanted, item))| at(&format!("{path}/{nth}"), wanted, Some(item), saved))
        }
        (wanted, value) if same(wanted, value) => Ok(()),
        _ => Err(format!("{path}: {value} is not {pattern}")),
    }
}

/// The members of an object that is a set of operators.
fn operators(pattern: &Value) -> Option<&serde_json::Map<String, Value>> {
    pattern.as_object().filter(|members| !members.is_empty() && members.keys().all(|key| key.starts_with('$')))
}

fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn operator(path: &str, name: &str, wanted: &Value, value: Option<&Value>, saved: &Saved) -> Result<(), String> {
    if name == "$absent" {
        return check(value.is_none(), path, "is there");
    }
    if name == "$not" {
        return check(at(path, wanted, value, saved).is_err(), path, &format!("matches {wanted}"));
    }
    let Some(value) = value else { return Err(format!("{path}: missing")) };
    let fits = |pattern: &Value, item: &Value| at(path, pattern, Some(item), saved).is_ok();
    let items = value.as_array().map(Vec::as_slice);
    let patterns = wanted.as_array().map_or(&[] as &[Value], Vec::as_slice);
    let holds = match name {
        "$regex" => {
            let pattern = Regex::new(wanted.as_str().unwrap_or_default()).map_err(|cause| format!("{path}: {cause}"))?;
            value.as_str().is_some_and(|text| pattern.is_match(text))
        }
        "$type" => is_of(value, wanted.as_str().unwrap_or_default()),
        "$range" => {
            let bound = |nth: usize| patterns.get(nth).and_then(Value::as_f64).unwrap_or(f64::NAN);
            value.as_f64().is_some_and(|number| bound(0) <= number && number <= bound(1))
        }
        "$len" => items.is_some_and(|items| Some(items.len() as u64) == wanted.as_u64()),
        "$min_len" => items.is_some_and(|items| Some(items.len() as u64) >= wanted.as_u64()),
        "$contains" => items.is_some_and(|items| patterns.iter().all(|wanted| items.iter().any(|item| fits(wanted, item)))),
        "$notContains" => items.is_some_and(|items| !patterns.iter().any(|wanted| items.iter().any(|item| fits(wanted, item)))),
        "$set" => items.is_some_and(|items| is_set(patterns, items, &fits)),
        "$all" => items.is_some_and(|items| items.iter().all(|item| fits(wanted, item))),
        "$oneOf" => patterns.iter().any(|wanted| same(wanted, value)),
        "$var" => saved.get(wanted.as_str().unwrap_or_default()).is_some_and(|known| same(known, value)),
        other => return Err(format!("{path}: the runner does not know `{other}`")),
    };
    check(holds, path, &format!("{value} does not fit {name} {wanted}"))
}

fn check(holds: bool, path: &str, wrong: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{path}: {wrong}")) }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "any" => true,
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// Whether each item has a pattern of its own, and each pattern an item.
fn is_set(patterns: &[Value], items: &[Value], fits: &dyn Fn(&Value, &Value) -> bool) -> bool {
    let Some((first, rest)) = patterns.split_first() else { return items.is_empty() };
    (0..items.len()).filter(|nth| fits(first, &items[*nth])).any(|nth| {
        let mut others = items.to_vec();
        others.remove(nth);
        is_set(rest, &others, fits)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(pattern: Value, value: Value, want: bool) {
        let saved = Saved::from([("v".to_owned(), json!("x"))]);
        let result = matches(&pattern, Some(&value), &saved);
        assert_eq!(result.is_ok(), want, "{pattern} {value} {result:?}");
    }

    #[test]
    fn patterns() {
        check(json!(1), json!(1.0), true);
        check(json!("1"), json!(1), false);
        check(json!({"a": 1}), json!({"a": 1, "b": 2}), true);
        check(json!({"a": {"$absent": true}}), json!({"b": 2}), true);
        check(json!({"a": {"$absent": true}}), json!({"a": null}), false);
        check(json!([1]), json!([1, 2]), false);
        check(json!({"$len": 2}), json!([1, 2]), true);
        check(json!({"$min_len": 1, "$all": {"$type": "integer"}}), json!([1, 2.5]), false);
        check(json!({"$contains": [2]}), json!([1, 2]), true);
        check(json!({"$notContains": [2]}), json!([1, 2]), false);
        check(json!({"$set": [{"a": 1}, {"$type": "object"}]}), json!([{"b": 2}, {"a": 1}]), true);
        check(json!({"$set": [1]}), json!([1, 1]), false);
        check(json!({"$range": [1, 2]}), json!(3), false);
        check(json!({"$oneOf": ["a", "b"]}), json!("b"), true);
        check(json!({"$not": "a"}), json!("b"), true);
        check(json!({"$var": "v"}), json!("x"), true);
        check(json!({"$regex": "^a"}), json!("ba"), false);
        check(json!({"$unknown": 1}), json!(1), false);
        check(json!({}), json!({"a": 1}), true);
        check(json!({}), json!([]), false);
    }
}
