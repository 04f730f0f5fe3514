//! Merging of settings, and the search for values that nobody gave.

use ocho_sdk::{Map, Value};

/// Lays `right` over `left`: mappings merge, lists follow one another, everything else is replaced.
pub(crate) fn merge(left: Value, right: Value) -> Value {
    match (left, right) {
        (Value::Object(mut left), Value::Object(right)) => {
            for (key, value) in right {
                match left.get_mut(&key) {
                    Some(old) => *old = merge(old.take(), value),
                    None => {
                        left.insert(key, value);
                    }
                }
            }
            Value::Object(left)
        }
        (Value::Array(mut left), Value::Array(right)) => {
            left.extend(right);
            Value::Array(left)
        }
        (_, right) => right,
    }
}

/// Paths of the nulls in nested mappings: `pod.a.b`. A null marks a value that an override has to give. Lists are not searched.
pub(crate) fn missing(settings: &Map<String, Value>) -> Vec<String> {
    let mut paths = Vec::new();
    search("pod", settings, &mut paths);
    paths
}

fn search(path: &str, settings: &Map<String, Value>, paths: &mut Vec<String>) {
    for (key, value) in settings {
        let path = format!("{path}.{key}");
        match value {
            Value::Null => paths.push(path),
            Value::Object(members) => search(&path, members, paths),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use ocho_sdk::json;

    use super::*;

    #[test]
    fn q27_lists_append_and_the_rest_is_replaced() {
        let left = json!({"a": 1, "b": {"c": [1, 2], "d": "x"}, "e": [0]});
        let right = json!({"a": 2, "b": {"c": [3], "e": "hey"}, "e": null});
        assert_eq!(merge(left, right), json!({"a": 2, "b": {"c": [1, 2, 3], "d": "x", "e": "hey"}, "e": null}));
        assert_eq!(merge(json!({"a": 1}), json!(3)), json!(3));
        assert_eq!(merge(json!({"a": 1}), json!({"a": {"b": 2}})), json!({"a": {"b": 2}}));
    }

    #[test]
    fn nulls_are_found_in_mappings_only() {
        let settings = json!({"a": null, "b": {"c": null, "d": 1, "e": {"f": null}}, "g": [null, {"h": null}]});
        assert_eq!(missing(settings.as_object().unwrap()), ["pod.a", "pod.b.c", "pod.b.e.f"]);
    }
}
