//! Finding a server that answers: all get their chance, one after the other with a head start, and the first one wins.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rand::seq::SliceRandom;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use zookeeper_client::Client;

use super::ZooKeeperConfig;

/// How long a server is alone in the race. Long enough for one that lives, short enough for one that swallows packets.
const HEAD_START: Duration = Duration::from_millis(300);
/// How long the look for a reason may take after a server failed.
const PROBE: Duration = Duration::from_millis(500);

/// `<host>:<port>` of each server of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Servers(Vec<String>);

/// A text that does not name the servers of a ZooKeeper ensemble.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ZooKeeper address `{0}` does not read as `<host>[:<port>][,<host>[:<port>]...]`")]
pub struct HostsError(String);

impl Servers {
    pub(super) fn parse(hosts: &str) -> Result<Self, HostsError> {
        let wrong = || HostsError(crate::net::without_user(hosts).to_owned());
        let one = |text: &str| {
            let (host, port) = match text.rsplit_once(':') {
                // An IPv6 address without a port, such as `[::1]`, has colons too.
                Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().map_err(|_| wrong())?),
                _ => (text, 2181),
            };
            let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
            let odd = |c: char| c.is_whitespace() || c.is_control() || "/@[]".contains(c);
            let reads = match bare {
                Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
                None => !host.is_empty() && !host.contains(odd) && !host.contains(':'),
            };
            if reads && port != 0 { Ok(format!("{host}:{port}")) } else { Err(wrong()) }
        };
        let servers: Vec<String> =
            hosts.split(',').map(str::trim).filter(|text| !text.is_empty()).map(one).collect::<Result<_, _>>()?;
        if servers.is_empty() { Err(wrong()) } else { Ok(Self(servers)) }
    }

    pub(super) fn listed(&self) -> String {
        self.0.join(",")
    }

    /// All servers, `first` at the head, the others in random order so that many daemons spread over the ensemble.
    fn in_order(&self, first: Option<&str>) -> Vec<String> {
        let mut order = self.0.clone();
        order.shuffle(&mut rand::rng());
        order.sort_by_key(|server| Some(server.as_str()) != first);
        order
    }
}

/// Opens a session with the first server that grants one; gives it with the server's address. `preferred` is asked first.
///
/// # Errors
/// Where every server failed: each one's reason.
pub(super) async fn open(
    servers: &Servers,
    preferred: Option<&str>,
    config: &ZooKeeperConfig,
) -> Result<(Client, String), String> {
    let mut waiting = servers.in_order(preferred).into_iter();
    let mut racing = FuturesUnordered::new();
    let mut reasons = Vec::new();
    loop {
        match waiting.next() {
            Some(server) => racing.push(open_one(server, config)),
            None if racing.is_empty() => return Err(reasons.join("; ")),
            None => {}
        }
        tokio::select! {
            Some(result) = racing.next() => match result {
                Ok(opened) => return Ok(opened),
                Err(reason) => reasons.push(reason),
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

async fn open_one(server: String, config: &ZooKeeperConfig) -> Result<(Client, String), String> {
    let connector = Client::connector()
        .with_session_timeout(config.session_timeout)
        .with_connection_timeout(config.connect_timeout)
        .with_fail_eagerly();
    let outcome = timeout(config.connect_timeout, connector.connect(&server)).await;
    match outcome {
        Ok(Ok(client)) => Ok((client, server)),
        Ok(Err(_)) | Err(_) => Err(format!("{server}: {}", reason(&server).await)),
    }
}

/// Why a server failed. The client library keeps that to itself, so we knock once more.
async fn reason(server: &str) -> String {
    match timeout(PROBE, TcpStream::connect(server)).await {
        Ok(Ok(_accepted)) => "it accepts connections but grants no session".to_owned(),
        Ok(Err(error)) => crate::net::reason(&error),
        Err(_) => "no connection in time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, listed) in
            [("h:1", "h:1"), (" a:1 , b ,, [::1]:3,[::1]", "a:1,b:2181,[::1]:3,[::1]:2181"), ("10.0.0.1", "10.0.0.1:2181")]
        {
            assert_eq!(Servers::parse(text).map(|servers| servers.listed()), Ok(listed.to_owned()), "{text}");
        }
        for wrong in ["", " ,", "h:x", "h:0", "h:70000", ":1", "a b:1", "zk://h:1", "h:1/chroot", "[x]:1", "::1:2181"] {
            assert_eq!(Servers::parse(wrong), Err(HostsError(wrong.to_owned())));
        }
        // There are no credentials in such an address; whoever writes some does not read them in a log.
        assert_eq!(Servers::parse("user:s3cret@h:1"), Err(HostsError("h:1".to_owned())));
    }

    #[test]
    fn the_server_that_answered_last_is_asked_first() {
        let servers = Servers::parse("a,b,c,d").unwrap();
        for _ in 0..20 {
            let order = servers.in_order(Some("c:2181"));
            assert_eq!((order[0].as_str(), order.len()), ("c:2181", 4));
        }
    }
}
