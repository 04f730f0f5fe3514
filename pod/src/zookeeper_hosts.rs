//! Where ZooKeeper is, as operators write it: `zk://host:port,host:port/path` or the same without scheme and path.

use std::fmt;
use std::str::FromStr;

/// Addresses of a ZooKeeper ensemble. Prints without credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct ZookeeperHosts {
    hosts: Vec<String>,
    credentials: Option<String>,
}

/// Why a text gives no addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not read as `[zk://]<host>[:<port>][,<host>[:<port>]...][/<path>]`")]
pub struct ZookeeperHostsError(String);

impl ZookeeperHosts {
    /// `host:port,host:port`, as clients of ZooKeeper take it.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.hosts.join(",")
    }

    /// `user:password`, where the address had them.
    #[must_use]
    pub fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }
}

impl FromStr for ZookeeperHosts {
    type Err = ZookeeperHostsError;

    /// The path is dropped: pods of every origin meet below `/ochopod`, whatever path Mesos uses.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // What cannot be read may hold a password, so the message repeats only what stands behind it.
        let shown = text.rsplit_once('@').map_or(text, |(_, hosts)| hosts);
        let wrong = || ZookeeperHostsError(shown.to_owned());
        let rest = text.trim().split_once("://").map_or(text.trim(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (credentials, list) = match authority.rsplit_once('@') {
            Some((credentials, list)) => (Some(credentials.to_owned()), list),
            None => (None, authority),
        };
        let hosts = list.split(',').map(str::trim).map(host_and_port).collect::<Option<_>>().ok_or_else(wrong)?;
        Ok(Self { hosts, credentials })
    }
}

fn host_and_port(text: &str) -> Option<String> {
    // `[::1]:2181` has colons of its own.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, "2181"),
    };
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    plain.then(|| format!("{host}:{port}"))
}

impl fmt::Display for ZookeeperHosts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.connect_string())
    }
}

impl fmt::Debug for ZookeeperHosts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ZookeeperHosts({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn b30_with_and_without_a_scheme() {
        for (text, hosts) in [
            ("zk://10.0.0.1:2181,10.0.0.2:2182/mesos", "10.0.0.1:2181,10.0.0.2:2182"),
            ("10.0.0.1:2181,10.0.0.2", "10.0.0.1:2181,10.0.0.2:2181"),
            ("localhost", "localhost:2181"),
            ("zk://[::1]:99", "[::1]:99"),
            ("[::1]", "[::1]:2181"),
            (" zk://a:1/x/y \n", "a:1"),
        ] {
            assert_eq!(text.parse::<ZookeeperHosts>().unwrap().connect_string(), hosts, "{text}");
        }
        for bad in ["", "zk://", "zk:///mesos", "a:0", "a:b", "a:1,", ",a", "a b:1", "a:70000"] {
            assert!(bad.parse::<ZookeeperHosts>().is_err(), "{bad}");
        }
    }

    #[test]
    fn s06_credentials_do_not_print() {
        let hosts: ZookeeperHosts = "zk://user:p@ss@h:1/x".parse().unwrap();
        assert_eq!(hosts.credentials(), Some("user:p@ss"));
        assert_eq!(format!("{hosts} {hosts:?} {}", hosts.connect_string()), "h:1 ZookeeperHosts(h:1) h:1");
        assert!(!"zk://user:pass@h:x".parse::<ZookeeperHosts>().unwrap_err().to_string().contains("pass"));
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_not_a_panic(text in ".*") {
            let _ = text.parse::<ZookeeperHosts>();
        }
    }
}
