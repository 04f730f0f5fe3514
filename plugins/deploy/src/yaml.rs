//! YAML as PyYAML reads it (YAML 1.1), with the place of every value.

use std::fmt;

use ocho_sdk::{Map, Value, json};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use crate::scalar::{self, Scalar};

/// Deeper is no definition but an attack on the stack.
const DEPTH_AT_MOST: usize = 64;
/// Aliases make a small file large.
const NODES_AT_MOST: usize = 50_000;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) yaml: Yaml,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Yaml {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the file; a key that comes again replaces the value, as in PyYAML.
    Map(Vec<(String, Node)>),
}

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    line: usize,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "(line {}, column {})", self.line, self.column)
    }
}

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) at: Place,
    pub(crate) what: String,
}

impl Node {
    /// A member of a mapping that is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let Yaml::Map(members) = &self.yaml else { return None };
        members.iter().find(|(name, _)| name == key).map(|(_, node)| node).filter(|node| !node.is_null())
    }

    pub(crate) fn is_null(&self) -> bool {
        self.yaml == Yaml::Scalar(Scalar::Null)
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.yaml, Yaml::Map(_))
    }

    /// The same as JSON.
    pub(crate) fn to_json(&self) -> Value {
        match &self.yaml {
            Yaml::Scalar(Scalar::Null) => Value::Null,
            Yaml::Scalar(Scalar::Bool(value)) => json!(value),
            Yaml::Scalar(Scalar::Int(value)) => json!(value),
            Yaml::Scalar(Scalar::Float(value)) => json!(value),
            Yaml::Scalar(Scalar::Text(value)) => json!(value),
            Yaml::List(items) => items.iter().map(Node::to_json).collect(),
            Yaml::Map(members) => {
                Value::Object(members.iter().map(|(key, node)| (key.clone(), node.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// The same as Python shows it.
    pub(crate) fn shown(&self) -> String {
        match &self.yaml {
            Yaml::Scalar(scalar) => scalar.shown(),
            Yaml::List(items) => format!("[{}]", items.iter().map(Node::quoted).collect::<Vec<_>>().join(", ")),
            Yaml::Map(members) => {
                let members: Vec<String> = members.iter().map(|(key, node)| format!("'{key}': {}", node.quoted())).collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    fn quoted(&self) -> String {
        if matches!(self.yaml, Yaml::Scalar(Scalar::Text(_))) { format!("'{}'", self.shown()) } else { self.shown() }
    }
}

/// Reads one document; none where the text holds nothing.
pub(crate) fn read(text: &str) -> Result<Option<Node>, YamlError> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: Vec::new(), nodes: 0 };
    let mut document = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(document.filter(|node: &Node| !node.is_null())),
            Event::DocumentStart(_) if document.is_some() => {
                return Err(reader.wrong(span, "there is a second document; one is enough"));
            }
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => document = Some(reader.node(event, span, 0)?),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: Vec<(usize, Node)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(YamlError { at: (*error.marker()).into(), what: error.info().to_owned() }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn wrong(&self, span: Span, what: impl Into<String>) -> YamlError {
        YamlError { at: span.start.into(), what: what.into() }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, YamlError> {
        if depth > DEPTH_AT_MOST {
            return Err(self.wrong(span, format!("nested deeper than {DEPTH_AT_MOST}")));
        }
        self.count(1, span)?;
        let (anchor, yaml) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => (anchor, Yaml::Scalar(self.scalar(&text, style, tag.as_deref(), span)?)),
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", span)?;
                (anchor, self.list(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", span)?;
                (anchor, self.map(depth)?)
            }
            _ => return Err(self.wrong(span, "a value is missing")),
        };
        let node = Node { at: span.start.into(), yaml };
        if anchor > 0 {
            self.anchors.push((anchor, node.clone()));
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), YamlError> {
        self.nodes += nodes;
        if self.nodes > NODES_AT_MOST {
            return Err(self.wrong(span, format!("more than {NODES_AT_MOST} values, aliases counted in full")));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, YamlError> {
        let anchored = self.anchors.iter().find(|(number, _)| *number == anchor).map(|(_, node)| node.clone());
        let node = anchored.ok_or_else(|| self.wrong(span, "the alias has no anchor before it"))?;
        self.count(size(&node), span)?;
        Ok(node)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Scalar, YamlError> {
        let resolved = match tag {
            None if style == ScalarStyle::Plain => scalar::resolve(text),
            None => Ok(Scalar::Text(text.to_owned())),
            Some(tag) if tag.is_yaml_core_schema() => scalar::resolve_as(&tag.suffix, text),
            Some(tag) => Err(format!("the tag `{}{}` is not supported", tag.handle, tag.suffix)),
        };
        resolved.map_err(|what| self.wrong(span, what))
    }

    fn check_tag(&self, tag: Option<&Tag>, expected: &str, span: Span) -> Result<(), YamlError> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected) => {
                Err(self.wrong(span, format!("the tag `{}{}` is not supported", tag.handle, tag.suffix)))
            }
            _ => Ok(()),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Yaml, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Yaml::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Yaml, YamlError> {
        let (mut members, mut merged) = (Vec::new(), Vec::new());
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, _) => break,
                next => next,
            };
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(event, span, depth + 1)?;
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span, depth + 1)?;
            if is_merge {
                merged.extend(self.merged_members(value, value_span)?);
            } else {
                put(&mut members, self.key(&key, span)?, value);
            }
        }
        for (key, value) in merged {
            if members.iter().all(|(name, _)| *name != key) {
                members.push((key, value));
            }
        }
        Ok(Yaml::Map(members))
    }

    /// What `<<` brings in: a mapping, or several of which the first wins.
    fn merged_members(&self, value: Node, span: Span) -> Result<Vec<(String, Node)>, YamlError> {
        match value.yaml {
            Yaml::Map(members) => Ok(members),
            Yaml::List(maps) => {
                let each: Result<Vec<_>, _> = maps.into_iter().map(|map| self.merged_members(map, span)).collect();
                Ok(each?.into_iter().flatten().collect())
            }
            Yaml::Scalar(_) => Err(self.wrong(span, "`<<` wants a mapping or a list of mappings")),
        }
    }

    /// Keys as Python writes them into JSON.
    fn key(&self, key: &Node, span: Span) -> Result<String, YamlError> {
        match &key.yaml {
            Yaml::Scalar(Scalar::Text(text)) => Ok(text.clone()),
            Yaml::Scalar(_) => match key.to_json() {
                Value::String(text) => Ok(text),
                other => Ok(json::to_line(&other)),
            },
            _ => Err(self.wrong(span, "a list or a mapping cannot be a key")),
        }
    }
}

fn put(members: &mut Vec<(String, Node)>, key: String, value: Node) {
    match members.iter_mut().find(|(name, _)| *name == key) {
        Some((_, old)) => *old = value,
        None => members.push((key, value)),
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.yaml {
        Yaml::Scalar(_) => 0,
        Yaml::List(items) => items.iter().map(size).sum(),
        Yaml::Map(members) => members.iter().map(|(_, node)| size(node)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, json: &str) {
        let node = read(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(node.map_or(Value::Null, |node| node.to_json()).to_string(), json, "{text}");
    }

    #[track_caller]
    fn check_error(text: &str, place: &str, what: &str) {
        let error = read(text).unwrap_err();
        assert_eq!((error.at.to_string().as_str(), error.what.as_str()), (place, what), "{text}");
    }

    #[test]
    fn structures() {
        check("", "null");
        check("# nothing\n", "null");
        check("---\n", "null");
        check("a: 1\nb: [x, {c: ~}]\n", r#"{"a":1,"b":["x",{"c":null}]}"#);
        check("a:\nb: ''\n", r#"{"a":null,"b":""}"#);
        check("1: a\ntrue: b\nnull: c\n", r#"{"1":"a","true":"b","null":"c"}"#);
        check("a: 1\na: 2\n", r#"{"a":2}"#);
        check("a: |\n  x\n  y\n", r#"{"a":"x\ny\n"}"#);
        check("base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  y: 3\n", r#"{"base":{"x":1,"y":2},"more":{"y":3,"x":1}}"#);
        check("a: !!str 12\nb: !!int '3'\n", r#"{"a":"12","b":3}"#);
    }

    #[test]
    fn mistakes_have_a_place() {
        check_error("a: 1\n--- \nb: 2\n", "(line 2, column 1)", "there is a second document; one is enough");
        check_error("a: 1\n...\n---\n", "(line 3, column 1)", "there is a second document; one is enough");
        check_error(
            "a: !!python/object/apply:os.system ['id']\n",
            "(line 1, column 4)",
            "the tag `tag:yaml.org,2002:python/object/apply:os.system` is not supported",
        );
        check_error("a: !thing 1\n", "(line 1, column 4)", "the tag `!thing` is not supported");
        check_error(
            "a:\n  - 8080:22\n",
            "(line 2, column 5)",
            "`8080:22` is a number to the base 60 in YAML 1.1; put it in quotes to have a text",
        );
        check_error("[a]: 1\n", "(line 1, column 1)", "a list or a mapping cannot be a key");
        let error = read("a: [1\nb: 2\n").unwrap_err();
        assert_eq!(error.at.line, 2);
    }

    #[test]
    fn hostile_texts_end() {
        let error = read(&"[".repeat(100_000)).unwrap_err();
        assert!(error.what.contains("recursion") || error.what.contains("nested"), "{}", error.what);
        let error = read(&"- ".repeat(100)).unwrap_err();
        assert_eq!(error.what, "nested deeper than 64");
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert_eq!(read(&bomb).unwrap_err().what, "more than 50000 values, aliases counted in full");
        assert!(read("a: &x [*x]\n").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_answer_not_a_panic(text in "[a-c0-9:&*!<>|\\-\\[\\]{},?#'\"% \t\n~]{0,60}") {
            let _ = read(&text);
        }
    }
}
