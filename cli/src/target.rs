//! Which host a command goes to: reading `host`, `host:port` and URLs.

use std::net::Ipv6Addr;

use reqwest::Url;

/// The portal's port where none is given.
const DEFAULT_PORT: u16 = 9000;

/// A host, as the user spelled it and as it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// As typed: what the prompt and the messages show.
    label: String,
    base: Url,
}

/// Why a text names no host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("either set $OCHOPOD_PROXY or pass the proxy IP as an argument")]
    Missing,
    #[error("$OCHOPOD_PROXY is set but empty: give it a host or unset it")]
    EmptyVariable,
    #[error("$OCHOPOD_PROXY is not text in UTF-8")]
    VariableNotUtf8,
    #[error("$OCHOPOD_TOKEN is not text in UTF-8")]
    TokenNotUtf8,
    #[error("there is no token of the servo: set $SERVO_TOKEN to what `poll *servo` shows")]
    NoServoToken,
    #[error("host `{0}` does not read as `<name or address>[:<port>]`, alone or after `http://` or `https://`")]
    Syntax(String),
}

impl Target {
    /// Reads `host`, `host:port`, `[v6]:port`, a bare IPv6 address, or one of them after `http://` or `https://`.
    pub(crate) fn parse(text: &str) -> Result<Self, TargetError> {
        let syntax = || TargetError::Syntax(text.to_owned());
        let (scheme, rest) = scheme_of(text);
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let foreign = |c: char| c.is_whitespace() || c.is_control() || "/\\?#@%<>\"'`".contains(c);
        if authority.is_empty() || authority.contains(foreign) {
            return Err(syntax());
        }
        let (host, port) = host_and_port(authority).ok_or_else(syntax)?;
        let base = Url::parse(&format!("{scheme}://{host}:{port}/")).map_err(|_| syntax())?;
        Ok(Self { label: text.to_owned(), base })
    }

    /// The host as the user spelled it.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The address of a path on the host.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    /// Whether talking to it needs TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Whether it is this machine, where no proxy stands in between.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.base.host_str() {
            Some("localhost" | "[::1]") => true,
            Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
            None => false,
        }
    }
}

fn scheme_of(text: &str) -> (&'static str, &str) {
    for scheme in ["http", "https"] {
        if let Some(rest) = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")) {
            return (scheme, rest);
        }
    }
    ("http", text)
}

fn host_and_port(authority: &str) -> Option<(String, u16)> {
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Some((format!("[{authority}]"), DEFAULT_PORT));
    }
    let port_at = match authority.strip_prefix('[') {
        Some(inside) => inside.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(port_at);
    if host.is_empty() {
        return None;
    }
    match port.strip_prefix(':') {
        Some(digits) => digits.parse().ok().filter(|port| *port != 0).map(|port| (host.to_owned(), port)),
        None => port.is_empty().then(|| (host.to_owned(), DEFAULT_PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, url: &str) {
        assert_eq!(Target::parse(text).unwrap().url("shell").as_str(), url, "{text}");
    }

    #[test]
    fn hosts() {
        check("10.0.0.1", "http://10.0.0.1:9000/shell");
        check("my-cluster", "http://my-cluster:9000/shell");
        check("my-cluster:9001", "http://my-cluster:9001/shell");
        check("my-cluster:80", "http://my-cluster/shell");
        check("http://my-cluster/", "http://my-cluster:9000/shell");
        check("https://my-cluster", "https://my-cluster:9000/shell");
        check("::1", "http://[::1]:9000/shell");
        check("[::1]:9001", "http://[::1]:9001/shell");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let refused = [
            "", ":9000", "h:", "h:0", "h:70000", "h:x", "a b", "h/x", "u@h", "h?x", "ftp://h", "http://", "[::1", "[::1]x",
            "h\n", "1:2:3", "h%41", "[x]:1",
        ];
        for text in refused {
            assert!(matches!(Target::parse(text), Err(TargetError::Syntax(_))), "{text}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        for (text, loopback) in [("localhost", true), ("127.0.0.2:1", true), ("::1", true), ("10.0.0.1", false), ("h", false)] {
            assert_eq!(Target::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }
}
