//! The tasks of the process, from the ready line to the last one's end.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use futures::future::join_all;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::host::Host;
use crate::config::is_loopback;
use crate::guard::{LoopbackOnly, refuse_foreign};
use crate::own_pods::OwnPod;
use crate::server::{self, Patience};
use crate::tools::ToolsFolder;

/// Requests in flight get so long to end after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// Jobs under way get so long, and their callers the rest of the grace to hear how they ended.
const JOB_GRACE: Duration = Duration::from_secs(5);

/// The ready line waits so long for a registry that is not there yet: everything else works without it.
const REGISTERED_WITHIN: Duration = Duration::from_secs(10);

/// The tasks of the process. One that ends early ends all.
pub(super) struct Life {
    stop: CancellationToken,
    tasks: JoinSet<&'static str>,
    /// Watched until the end.
    tools_folder: Option<ToolsFolder>,
    signals: Signals,
}

impl Life {
    pub(super) fn new() -> Self {
        Self { stop: CancellationToken::new(), tasks: JoinSet::new(), tools_folder: None, signals: Signals::listen() }
    }

    /// Serves the embedded cluster. It stops after the faces, so that requests in flight still find it.
    pub(super) fn spawn_cluster(&mut self, cluster: Cluster) -> JoinSet<()> {
        let mut served = JoinSet::new();
        let Cluster { registry, scheduler, temporary, .. } = cluster;
        let stop_cluster = CancellationToken::new();
        let (stop_registry, stop) = (CancellationToken::new(), self.stop.clone());
        let serving_registry = registry.map(|registry| tokio::spawn(registry.serve(stop_registry.clone())));
        served.spawn(async move {
            let scheduler = tokio::spawn(scheduler.serve(stop_cluster.clone()));
            stop.cancelled().await;
            // Tasks are stopped first: their pods take their leave of the registry.
            stop_cluster.cancel();
            let _ = scheduler.await;
            stop_registry.cancel();
            if let Some(registry) = serving_registry {
                let _ = registry.await;
            }
            drop(temporary);
        });
        served
    }

    /// Serves the host; gives what is to be said once it is whole.
    pub(super) fn spawn_host(&mut self, mut host: Host, others: &[(&str, &str)]) -> anyhow::Result<Ready> {
        let mut line = "ready".to_owned();
        for (name, face) in [("portal", &host.portal), ("servo", &host.servo)] {
            if let Some(face) = face {
                line.push_str(&format!(" {name}={}", face.local_addr()?));
            }
        }
        for (name, value) in others {
            line.push_str(&format!(" {name}={value}"));
        }
        let mut own_pods = Vec::new();
        for (pod, member, control) in std::mem::take(&mut host.own_pods) {
            self.spawn_face("control", control, pod.routes())?;
            own_pods.push(pod);
            let stop = self.stop.clone();
            self.tasks.spawn(async move {
                member.run(stop).await;
                "member"
            });
        }
        let (portal, servo) = (host.portal_routes(), host.servo_routes());
        let Host { portal: portal_port, servo: servo_port, tools_folder, jobs, .. } = host;
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.cancelled().await;
            jobs.stop(JOB_GRACE).await;
            "jobs"
        });
        self.tools_folder = tools_folder;
        for (name, port, routes) in [("portal", portal_port, portal), ("servo", servo_port, servo)] {
            if let Some(port) = port {
                self.spawn_face(name, port, routes)?;
            }
        }
        Ok(Ready { line, own_pods })
    }

    fn spawn_face(&mut self, name: &'static str, listener: TcpListener, app: Router) -> anyhow::Result<()> {
        let app = guarded(app, listener.local_addr()?);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            server::serve(listener, app, Patience::default(), stop).await;
            name
        });
        Ok(())
    }

    /// Says that it is ready, waits for a signal or an early end, then drains: the faces within the grace period, then the cluster.
    ///
    /// # Errors
    /// Where there is nobody to say it to.
    pub(super) async fn last(
        mut self,
        ready: impl Future<Output = anyhow::Result<()>>,
        mut cluster: JoinSet<()>,
    ) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        tokio::select! {
            Err(error) = ready => outcome = Err(error),
            name = self.signals.terminated() => tracing::info!(signal = name, "stopping"),
            Some(ended) = self.tasks.join_next() => tracing::error!(?ended, "stopping: a part ended early"),
            Some(ended) = cluster.join_next() => tracing::error!(?ended, "stopping: the cluster ended early"),
        }
        self.stop.cancel();
        let drained = tokio::time::timeout(GRACE, async { while self.tasks.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!(left = self.tasks.len(), ?GRACE, "grace period is over, ending what is left");
        }
        self.tasks.shutdown().await;
        while cluster.join_next().await.is_some() {}
        outcome
    }
}

/// A host that serves, and what it says then.
pub(super) struct Ready {
    line: String,
    own_pods: Vec<OwnPod>,
}

impl Ready {
    /// Says the line once the host's own pods are registered: who reads it may ask for them at once.
    pub(super) async fn say(self) -> anyhow::Result<()> {
        let registered = join_all(self.own_pods.iter().map(OwnPod::registered));
        if tokio::time::timeout(REGISTERED_WITHIN, registered).await.is_err() {
            tracing::warn!(waited = ?REGISTERED_WITHIN, "no registry took the host's own pods yet; it goes on trying");
        }
        say_ready(&self.line)
    }
}

fn guarded(app: Router, address: SocketAddr) -> Router {
    app.layer(axum::middleware::from_fn_with_state(LoopbackOnly(is_loopback(address.ip())), refuse_foreign))
}

/// One line on standard output that a script can read.
pub(super) fn say_ready(line: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("standard output is closed")
}

/// Listened to before the host says that it is ready: whoever reads that may stop it at once, and it is to leave in order.
struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Self {
        let listen = |kind| signal(kind).expect("signals can be listened to");
        Self { term: listen(SignalKind::terminate()), interrupt: listen(SignalKind::interrupt()) }
    }

    async fn terminated(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
