//! A container definition: what a YAML file says, checked.

use std::fmt;

use ocho_sdk::{Map, Value};

use crate::ports::{self, Port};
use crate::scalar::Scalar;
use crate::yaml::{self, Node, Place, Yaml};

/// What to deploy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    /// Name of the cluster, without namespace and suffix.
    pub(crate) cluster: String,
    pub(crate) image: String,
    pub(crate) ports: Vec<Port>,
    pub(crate) settings: Map<String, Value>,
    pub(crate) is_debug: bool,
    /// Whether the sub-process starts once the cluster is configured.
    pub(crate) is_started: bool,
    pub(crate) verbatim: Map<String, Value>,
}

/// What is wrong with a file, and where as far as it has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    what: String,
    at: Option<Place>,
}

impl Wrong {
    pub(crate) fn at(at: Place, what: &str) -> Self {
        Self { what: what.to_owned(), at: Some(at) }
    }

    fn new(what: &str) -> Self {
        Self { what: what.to_owned(), at: None }
    }
}

impl std::error::Error for Wrong {}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(out, "{} {at}", self.what),
            None => write!(out, "{}", self.what),
        }
    }
}

/// Reads a definition.
pub(crate) fn read(text: &str) -> Result<Definition, Wrong> {
    let file = yaml::read(text).map_err(|error| Wrong::new(&format!("invalid deploy.yml {}: {}", error.at, error.what)))?;
    let file = file.ok_or_else(|| Wrong::new("empty YAML input (user error ?)"))?;
    if !file.is_map() {
        return Err(Wrong::at(file.at, "the definition must be a mapping with `cluster` and `image`"));
    }
    Ok(Definition {
        cluster: text_member(&file, "cluster", "cluster identifier undefined (user error ?)")?,
        image: text_member(&file, "image", "docker image undefined (user error ?)")?,
        ports: ports::read(file.get("ports"))?,
        settings: map_member(&file, "settings")?,
        is_debug: bool_member(&file, "debug", false)?,
        is_started: bool_member(&file, "start", true)?,
        verbatim: map_member(&file, "verbatim")?,
    })
}

fn text_member(file: &Node, name: &str, undefined: &str) -> Result<String, Wrong> {
    let node = file.get(name).ok_or_else(|| Wrong::new(undefined))?;
    match &node.yaml {
        Yaml::Scalar(Scalar::Text(text)) if !text.trim().is_empty() => Ok(text.clone()),
        Yaml::Scalar(Scalar::Text(_)) => Err(Wrong::new(undefined)),
        Yaml::Scalar(_) => Err(Wrong::at(node.at, &format!("`{name}` must be a text; put `{}` in quotes", node.shown()))),
        _ => Err(Wrong::at(node.at, &format!("`{name}` must be a text"))),
    }
}

/// A mapping that may be missing or empty.
fn map_member(file: &Node, name: &str) -> Result<Map<String, Value>, Wrong> {
    match file.get(name).map(|node| (node.to_json(), node.at)) {
        None => Ok(Map::new()),
        Some((Value::Object(members), _)) => Ok(members),
        Some((_, at)) => Err(Wrong::at(at, &format!("`{name}` must be a mapping"))),
    }
}

/// The quoted words `"true"` and `"false"` count as well: they end as texts in the environment anyway.
fn bool_member(file: &Node, name: &str, default: bool) -> Result<bool, Wrong> {
    let Some(node) = file.get(name) else { return Ok(default) };
    match &node.yaml {
        Yaml::Scalar(Scalar::Bool(value)) => Ok(*value),
        Yaml::Scalar(Scalar::Text(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Yaml::Scalar(Scalar::Text(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Wrong::at(node.at, &format!("`{name}` must be true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(text: &str, message: &str) {
        assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
    }

    #[test]
    fn the_smallest() {
        let definition = read("cluster: c\nimage: i\n").unwrap();
        assert_eq!((definition.cluster.as_str(), definition.image.as_str(), definition.ports.len()), ("c", "i", 1));
        assert_eq!((definition.is_debug, definition.is_started), (false, true));
        assert!(definition.settings.is_empty() && definition.verbatim.is_empty());
    }

    #[test]
    fn q26_cluster_and_image_are_texts() {
        check_error("image: i\n", "cluster identifier undefined (user error ?)");
        check_error("cluster:\nimage: i\n", "cluster identifier undefined (user error ?)");
        check_error("cluster: ''\nimage: i\n", "cluster identifier undefined (user error ?)");
        check_error("cluster: c\n", "docker image undefined (user error ?)");
        check_error("cluster: 12\nimage: i\n", "`cluster` must be a text; put `12` in quotes (line 1, column 10)");
        check_error("cluster: c\nimage: [i]\n", "`image` must be a text (line 2, column 8)");
    }

    #[test]
    fn q29_empty_members_are_the_default() {
        let definition = read("cluster: c\nimage: i\nsettings:\nverbatim:\nports:\ndebug:\nstart:\n").unwrap();
        assert_eq!(definition, read("cluster: c\nimage: i\n").unwrap());
    }

    #[test]
    fn words_of_yaml_1_1() {
        let definition = read("cluster: c\nimage: i\ndebug: yes\nstart: off\n").unwrap();
        assert_eq!((definition.is_debug, definition.is_started), (true, false));
        let definition = read("cluster: c\nimage: i\ndebug: \"True\"\n").unwrap();
        assert!(definition.is_debug);
    }

    #[test]
    fn mistakes_have_a_place() {
        check_error("", "empty YAML input (user error ?)");
        check_error("[]", "the definition must be a mapping with `cluster` and `image` (line 1, column 1)");
        check_error("cluster: c\nimage: i\nsettings: [1]\n", "`settings` must be a mapping (line 3, column 11)");
        check_error("cluster: c\nimage: i\nverbatim: 3\n", "`verbatim` must be a mapping (line 3, column 11)");
        check_error("cluster: c\nimage: i\ndebug: 3\n", "`debug` must be true or false (line 3, column 8)");
        let message = read("cluster: c\nimage: [\n").unwrap_err().to_string();
        assert!(message.starts_with("invalid deploy.yml (line "), "{message}");
    }
}
