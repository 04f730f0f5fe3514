//! Four-letter words: what an operator asks with `echo ruok | nc host port`.

use std::fmt::Write as _;

use super::state::State;

/// A word that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Ruok,
    Stat,
    Srvr,
    Mntr,
    Conf,
    Isro,
    Envi,
}

impl Word {
    /// The word, if a connection begins with one. Read as the length of a frame it would be far too long.
    pub(super) fn read(head: [u8; 4]) -> Option<Self> {
        Some(match &head {
            b"ruok" => Self::Ruok,
            b"stat" => Self::Stat,
            b"srvr" => Self::Srvr,
            b"mntr" => Self::Mntr,
            b"conf" => Self::Conf,
            b"isro" => Self::Isro,
            b"envi" => Self::Envi,
            _ => return None,
        })
    }

    /// The answer, after which the connection ends.
    pub(super) fn answer(self, state: &State) -> String {
        match self {
            Self::Ruok => "imok".to_owned(),
            Self::Stat => report(state, true),
            Self::Srvr => report(state, false),
            Self::Mntr => monitor(state),
            Self::Conf => configuration(state),
            Self::Isro => "rw".to_owned(),
            Self::Envi => format!("Environment:\nzookeeper.version={}\n", version()),
        }
    }
}

/// Who we are, behind the version of ZooKeeper whose clients find all that they expect: they compare the first part.
fn version() -> String {
    format!("3.9.0-ocho-{}", env!("CARGO_PKG_VERSION"))
}

fn report(state: &State, with_clients: bool) -> String {
    let mut text = format!("Zookeeper version: {}\n", version());
    if with_clients {
        text += "Clients:\n";
        for client in state.clients() {
            _ = writeln!(text, " {client}");
        }
        text += "\n";
    }
    let stats = &state.stats;
    _ = write!(
        text,
        "Latency min/avg/max: {}/{:.4}/{}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: 0\nZxid: {:#x}\nMode: standalone\nNode count: {}\n",
        stats.latency_min_ms(),
        stats.latency_avg_ms(),
        stats.latency_max_ms(),
        stats.received,
        stats.sent,
        state.conn_count(),
        state.zxid,
        state.tree.node_count(),
    );
    text
}

fn monitor(state: &State) -> String {
    let stats = &state.stats;
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| _ = writeln!(text, "zk_{name}\t{value}");
    line("version", &version());
    line("server_state", &"standalone");
    line("uptime", &stats.started.elapsed().as_millis());
    line("min_latency", &stats.latency_min_ms());
    line("avg_latency", &format_args!("{:.4}", stats.latency_avg_ms()));
    line("max_latency", &stats.latency_max_ms());
    line("packets_received", &stats.received);
    line("packets_sent", &stats.sent);
    line("num_alive_connections", &state.conn_count());
    line("outstanding_requests", &0);
    line("znode_count", &state.tree.node_count());
    line("watch_count", &state.watches.count());
    line("ephemerals_count", &state.tree.ephemeral_count());
    line("approximate_data_size", &state.tree.byte_count());
    line("global_sessions", &state.sessions.len());
    text
}

fn configuration(state: &State) -> String {
    let limits = &state.limits;
    format!(
        "clientPort={}\ntickTime={}\nmaxClientCnxns={}\nserverId=0\nminSessionTimeout={}\nmaxSessionTimeout={}\njute.maxbuffer={}\nmaxSessions={}\nmaxNodes={}\nmaxBytes={}\nmaxWatches={}\n",
        state.port,
        limits.session_timeout_min.as_millis() / 2,
        limits.connections,
        limits.session_timeout_min.as_millis(),
        limits.session_timeout_max.as_millis(),
        limits.frame_bytes,
        limits.sessions,
        limits.nodes,
        limits.bytes,
        limits.watches,
    )
}
