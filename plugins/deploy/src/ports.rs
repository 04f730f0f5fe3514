//! Port lines of a definition.

use ocho_sdk::{Map, Value, json};

use crate::definition::Wrong;
use crate::scalar::Scalar;
use crate::yaml::{Node, Yaml};

/// Where every pod answers.
const CONTROL_PORT: u16 = 8080;

/// One mapping from a port of the container to one of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Port {
    container: u16,
    /// Marathon picks one where it is missing.
    host: Option<u16>,
    protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

impl Port {
    pub(crate) fn to_json(self) -> Value {
        let mut mapping = Map::new();
        mapping.insert("containerPort".to_owned(), json!(self.container));
        if let Some(host) = self.host {
            mapping.insert("hostPort".to_owned(), json!(host));
        }
        mapping.insert("protocol".to_owned(), json!(if self.protocol == Protocol::Tcp { "tcp" } else { "udp" }));
        Value::Object(mapping)
    }
}

/// Reads `ports`; the control port comes first unless the list says how it is mapped.
pub(crate) fn read(ports: Option<&Node>) -> Result<Vec<Port>, Wrong> {
    let listed = match ports.map(|node| (&node.yaml, node.at)) {
        None => Vec::new(),
        Some((Yaml::List(items), _)) => items.iter().map(read_one).collect::<Result<Vec<_>, _>>()?,
        Some((_, at)) => return Err(Wrong::at(at, "`ports` must be a list")),
    };
    let mut all = Vec::new();
    let is_control = |port: &Port| port.container == CONTROL_PORT && port.protocol == Protocol::Tcp;
    if !listed.iter().any(is_control) {
        all.push(Port { container: CONTROL_PORT, host: None, protocol: Protocol::Tcp });
    }
    for port in listed {
        if !all.contains(&port) {
            all.push(port);
        }
    }
    Ok(all)
}

fn read_one(node: &Node) -> Result<Port, Wrong> {
    let port = match &node.yaml {
        Yaml::Scalar(Scalar::Int(port)) => {
            u16::try_from(*port).ok().map(|container| Port { container, host: None, protocol: Protocol::Tcp })
        }
        Yaml::Scalar(Scalar::Text(line)) => {
            return parse(line).ok_or_else(|| {
                Wrong::at(
                    node.at,
                    "invalid port syntax (must be two integers separated by 1+ spaces optionally followed by the \
                     protocol (tcp or udp, defaults to tcp))",
                )
            });
        }
        _ => None,
    };
    port.ok_or_else(|| Wrong::at(node.at, &format!("invalid port syntax (\"{}\")", node.shown())))
}

/// `<container> [<host>|*] [tcp|udp]`, one blank between two words, at least two words.
fn parse(line: &str) -> Option<Port> {
    let words: Vec<&str> = line.split(' ').collect();
    let (container, host, protocol) = match words.as_slice() {
        [container, last] => match protocol(last) {
            Some(protocol) => (*container, None, protocol),
            None => (*container, Some(*last), Protocol::Tcp),
        },
        [container, host, last] => (*container, Some(*host), protocol(last)?),
        _ => return None,
    };
    let container = number(container)?;
    let host = match host {
        None => None,
        Some("*") => Some(container),
        Some(host) => Some(number(host)?),
    };
    Some(Port { container, host, protocol })
}

fn protocol(word: &str) -> Option<Protocol> {
    match word.to_ascii_lowercase().as_str() {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    }
}

fn number(word: &str) -> Option<u16> {
    word.parse().ok().filter(|_| word.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn read_list(list: &str) -> Result<Vec<String>, String> {
        let node = yaml::read(&format!("ports: {list}")).unwrap().unwrap();
        let ports = read(node.get("ports")).map_err(|wrong| wrong.to_string())?;
        Ok(ports.into_iter().map(|port| port.to_json().to_string()).collect())
    }

    #[track_caller]
    fn check(entry: &str, mapping: &str) {
        let ports = read_list(&format!("[{entry}]")).unwrap();
        assert_eq!(ports.last().map(String::as_str), Some(mapping), "{entry}");
    }

    const SYNTAX: &str = "invalid port syntax (must be two integers separated by 1+ spaces optionally followed by the \
                          protocol (tcp or udp, defaults to tcp)) (line 1, column 9)";

    #[test]
    fn forms() {
        check("9000", r#"{"containerPort":9000,"protocol":"tcp"}"#);
        check("9000 9001", r#"{"containerPort":9000,"hostPort":9001,"protocol":"tcp"}"#);
        check("5000 *", r#"{"containerPort":5000,"hostPort":5000,"protocol":"tcp"}"#);
        check("8125 udp", r#"{"containerPort":8125,"protocol":"udp"}"#);
        check("\"8126 * UDP\"", r#"{"containerPort":8126,"hostPort":8126,"protocol":"udp"}"#);
        check("8127 18127 Tcp", r#"{"containerPort":8127,"hostPort":18127,"protocol":"tcp"}"#);
        check("0", r#"{"containerPort":0,"protocol":"tcp"}"#);
    }

    #[test]
    fn refused() {
        for entry in [
            "\"8080\"",
            "80*",
            "80/udp",
            "\"80  81\"",
            "\"80\\t81\"",
            "80 81 82",
            "\"80 udp \"",
            "80 sctp",
            "a b",
            "80 81 *",
            "80 70000",
            "-1 80",
            "80 +81",
        ] {
            assert_eq!(read_list(&format!("[{entry}]")).unwrap_err(), SYNTAX, "{entry}");
        }
        for (entry, shown) in [
            ("80.5", "80.5"),
            ("{a: 1}", "{'a': 1}"),
            ("null", "None"),
            ("true", "True"),
            ("70000", "70000"),
            ("-1", "-1"),
            ("[a]", "['a']"),
        ] {
            assert_eq!(
                read_list(&format!("[{entry}]")).unwrap_err(),
                format!("invalid port syntax (\"{shown}\") (line 1, column 9)")
            );
        }
        assert_eq!(read_list("80").unwrap_err(), "`ports` must be a list (line 1, column 8)");
    }

    #[test]
    fn q25_the_control_port_is_mapped_once() {
        let control = r#"{"containerPort":8080,"protocol":"tcp"}"#;
        assert_eq!(read_list("[]").unwrap(), [control]);
        assert_eq!(read_list("[8080, 8080]").unwrap(), [control]);
        assert_eq!(read_list("[8080 31000]").unwrap(), [r#"{"containerPort":8080,"hostPort":31000,"protocol":"tcp"}"#]);
        assert_eq!(read_list("[8080 udp]").unwrap().len(), 2);
        assert_eq!(read_list("[9000, 9000]").unwrap().len(), 2);
    }

    #[test]
    fn q29_empty_ports_are_the_default() {
        assert_eq!(read_list("").unwrap(), [r#"{"containerPort":8080,"protocol":"tcp"}"#]);
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_an_answer_not_a_panic(line in "[0-9a-z* -]{0,20}") {
            let _ = parse(&line);
        }
    }
}
