//! Reading JSON with an address for every mistake: `/portDefinitions(0)/port` `error.max`.

use std::cell::RefCell;

use serde_json::{Map, Number, Value};

/// Where mistakes are collected while a body is read.
#[derive(Default)]
pub(crate) struct Mistakes(RefCell<Vec<Mistake>>);

/// One rule that was broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) path: String,
    pub(crate) error: String,
}

impl Mistake {
    /// A mistake at a place.
    pub(crate) fn new(path: impl Into<String>, error: impl Into<String>) -> Self {
        Self { path: path.into(), error: error.into() }
    }
}

impl Mistakes {
    /// The top of a body.
    pub(crate) fn read<'a>(&'a self, value: &'a Value) -> At<'a> {
        At { mistakes: self, path: String::new(), value }
    }

    /// Adds a mistake.
    pub(crate) fn add(&self, path: impl Into<String>, error: impl Into<String>) {
        self.0.borrow_mut().push(Mistake::new(path, error));
    }

    /// All mistakes, in the order in which they were met.
    pub(crate) fn into_vec(self) -> Vec<Mistake> {
        self.0.into_inner()
    }
}

/// One value of a body and its address.
#[derive(Clone)]
pub(crate) struct At<'a> {
    mistakes: &'a Mistakes,
    path: String,
    value: &'a Value,
}

impl<'a> At<'a> {
    /// The value itself.
    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// Says what is wrong with this value.
    pub(crate) fn wrong<T>(&self, error: &str) -> Option<T> {
        self.mistakes.add(if self.path.is_empty() { "/" } else { &self.path }, error);
        None
    }

    /// The members of an object.
    pub(crate) fn object(&self) -> Option<Members<'a>> {
        match self.value {
            Value::Object(map) => Some(Members { mistakes: self.mistakes, path: self.path.clone(), map }),
            _ => self.wrong("error.expected.jsobject"),
        }
    }

    /// The elements of an array, each read by `read`. Elements that are wrong are left out and told.
    pub(crate) fn array<T>(&self, read: impl Fn(At<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Value::Array(items) = self.value else { return self.wrong("error.expected.jsarray") };
        Some(items.iter().enumerate().filter_map(|(nth, item)| read(self.below(&format!("({nth})"), item))).collect())
    }

    /// The members of an object that is a map, each value read by `read`.
    pub(crate) fn map<T, M: FromIterator<(String, T)>>(&self, read: impl Fn(At<'a>) -> Option<T>) -> Option<M> {
        let Value::Object(map) = self.value else { return self.wrong("error.expected.jsobject") };
        Some(map.iter().filter_map(|(key, item)| Some((key.clone(), read(self.below(&format!("/{key}"), item))?))).collect())
    }

    fn below(&self, step: &str, value: &'a Value) -> At<'a> {
        At { mistakes: self.mistakes, path: format!("{}{step}", self.path), value }
    }

    /// A text.
    pub(crate) fn string(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            _ => self.wrong("error.expected.jsstring"),
        }
    }

    /// A text that is not empty.
    pub(crate) fn filled(&self) -> Option<String> {
        let text = self.string()?;
        if text.is_empty() { self.wrong("error.minLength") } else { Some(text) }
    }

    /// True or false.
    pub(crate) fn bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(*flag),
            _ => self.wrong("error.expected.jsboolean"),
        }
    }

    /// A number of at least `min`.
    pub(crate) fn number(&self, min: f64, max: f64) -> Option<f64> {
        let Value::Number(number) = self.value else { return self.wrong("error.expected.jsnumber") };
        let number = number.as_f64().filter(|number| number.is_finite());
        match number {
            Some(number) if number < min => self.wrong("error.min"),
            Some(number) if number > max => self.wrong("error.max"),
            Some(number) => Some(number),
            None => self.wrong("error.expected.jsnumber"),
        }
    }

    /// A whole number between `min` and `max`; `1.0` counts as whole.
    pub(crate) fn int(&self, min: i64, max: i64) -> Option<i64> {
        let Value::Number(number) = self.value else { return self.wrong("error.expected.jsnumber") };
        match whole(number) {
            None => self.wrong("error.expected.int"),
            Some(number) if number < min => self.wrong("error.min"),
            Some(number) if number > max => self.wrong("error.max"),
            Some(number) => Some(number),
        }
    }

    /// A whole number from 0 that fits 31 bits.
    pub(crate) fn count(&self) -> Option<u32> {
        self.count_from(0)
    }

    /// A whole number from `min` that fits 31 bits.
    pub(crate) fn count_from(&self, min: u32) -> Option<u32> {
        self.int(min.into(), i32::MAX.into()).and_then(|number| u32::try_from(number).ok())
    }

    /// A port, 0 included.
    pub(crate) fn port(&self) -> Option<u16> {
        self.int(0, u16::MAX.into()).and_then(|number| u16::try_from(number).ok())
    }

    /// One of the words, in any letter case.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
            Some((_, meaning)) => Some(*meaning),
            None => self.wrong("error.unknown.enum.literal"),
        }
    }
}

/// The members of an object.
#[derive(Clone)]
pub(crate) struct Members<'a> {
    mistakes: &'a Mistakes,
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Members<'a> {
    /// A member; `null` is the same as absent.
    pub(crate) fn get(&self, key: &str) -> Option<At<'a>> {
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(At { mistakes: self.mistakes, path: self.path_of(key), value })
    }

    /// A member that must be there.
    pub(crate) fn need(&self, key: &str) -> Option<At<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.mistakes.add(self.path_of(key), "error.path.missing");
        }
        found
    }

    /// Keys that are present and not `null`.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.map.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str())
    }

    /// The address of a member.
    pub(crate) fn path_of(&self, key: &str) -> String {
        format!("{}/{key}", self.path)
    }
}

fn whole(number: &Number) -> Option<i64> {
    if let Some(number) = number.as_i64() {
        return Some(number);
    }
    let number = number.as_f64()?;
    // Within ±2^53 every whole f64 is exact; beyond 32 bits it is refused anyway.
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn int_is(value: Value, want: Result<i64, &str>) {
        let mistakes = Mistakes::default();
        let got = mistakes.read(&value).int(0, 100);
        let errors = mistakes.into_vec();
        match want {
            Ok(number) => assert_eq!((got, errors), (Some(number), vec![])),
            Err(error) => assert_eq!((got, errors), (None, vec![Mistake::new("/", error)])),
        }
    }

    #[test]
    fn whole_numbers() {
        int_is(json!(7), Ok(7));
        int_is(json!(7.0), Ok(7));
        int_is(json!(0.1), Err("error.expected.int"));
        int_is(json!(-1), Err("error.min"));
        int_is(json!(101), Err("error.max"));
        int_is(json!(1e300), Err("error.expected.int"));
        int_is(json!(18_446_744_073_709_551_615_u64), Err("error.expected.int"));
        int_is(json!("7"), Err("error.expected.jsnumber"));
    }

    #[test]
    fn addresses() {
        let body = json!({"a": [{"b": 1}, {"b": "x"}], "m": {"k": 1}, "n": null});
        let mistakes = Mistakes::default();
        let top = mistakes.read(&body).object().expect("an object");
        let read = top.get("a").expect("there").array(|item| item.object()?.need("b")?.count());
        assert_eq!(read, Some(vec![1]));
        let map: Option<std::collections::BTreeMap<String, String>> = top.get("m").expect("there").map(|item| item.string());
        assert_eq!(map.map(|map| map.len()), Some(0));
        assert!(top.need("n").is_none());
        let told: Vec<_> = mistakes.into_vec().into_iter().map(|m| (m.path, m.error)).collect();
        assert_eq!(
            told,
            [
                ("/a(1)/b".to_owned(), "error.expected.jsnumber".to_owned()),
                ("/m/k".to_owned(), "error.expected.jsstring".to_owned()),
                ("/n".to_owned(), "error.path.missing".to_owned()),
            ]
        );
    }
}
