//! The machine behind the orders.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use ocho_core::PodSeq;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::cluster::{Cluster, Pods};
use crate::control::task::Task;
use crate::environment::Variables;
use crate::face::{Face, ProcessState};
use crate::generation::{Fence, Generation};
use crate::hooks::{HookError, Hooks, Launch};
use crate::lifecycle::LifecycleSettings;
use crate::lifecycle::orders::{Order, Orders, Reply};
use crate::lifecycle::process::{Ending, Exit, Process};
use crate::lifecycle::supervision::{Supervision, Verdict};
use crate::log::Log;
use crate::registry::membership::Registered;

/// A leader may see this pod's node a moment before the pod knows its own number.
const NUMBER_LIMIT: Duration = Duration::from_secs(2);

/// The pod's life, to be run as a task.
pub(crate) struct Lifecycle {
    hooks: Box<dyn Hooks>,
    settings: LifecycleSettings,
    /// What the sub-process gets before the overrides.
    variables: Variables,
    /// Whether the first configuration starts the process.
    start: bool,
    face: Arc<Face>,
    log: Log,
    orders: mpsc::Receiver<Order>,
    /// Where this pod is registered, from the first time on.
    registrations: watch::Receiver<Option<Registered>>,
    fence: Fence,
    process: Option<Process>,
    supervision: Supervision,
    restart_at: Option<Instant>,
    initialized: bool,
    spawned_once: bool,
    /// Somebody turned the pod off, and nobody on since.
    wished_off: bool,
    last: Option<Configured>,
}

/// What the last successful `configure` was about.
struct Configured {
    launch: Launch,
    pods: Pods,
    dependencies: BTreeMap<String, Pods>,
    generation: Option<Generation>,
}

enum Event {
    Stop,
    Ended(Exit),
    Ordered(Order),
    Registered,
    RestartDue,
    CheckDue,
}

/// Whether the machine goes on after an order.
enum Next {
    GoOn,
    Die,
}

impl Lifecycle {
    /// A pod that has run nothing yet, and the way to give it orders.
    pub(crate) fn new(
        hooks: Box<dyn Hooks>,
        settings: LifecycleSettings,
        variables: Variables,
        start: bool,
        face: Arc<Face>,
        log: Log,
        registrations: watch::Receiver<Option<Registered>>,
    ) -> (Self, Orders) {
        let (handle, orders) = Orders::channel();
        let supervision = Supervision::new(&settings, Instant::now());
        let machine = Self {
            hooks,
            settings,
            variables,
            start,
            face,
            log,
            orders,
            registrations,
            fence: Fence::default(),
            process: None,
            supervision,
            restart_at: None,
            initialized: false,
            spawned_once: false,
            wished_off: false,
            last: None,
        };
        (machine, handle)
    }

    /// Lives until the pod dies or is stopped. Either way the process is gone afterwards, and orders are answered with 410.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let next = match self.event(&stop).await {
                Event::Stop => {
                    self.end_process().await;
                    self.finalize().await;
                    Next::Die
                }
                Event::Ended(exit) => self.process_ended(exit).await,
                Event::Ordered(order) => self.obey(order).await,
                Event::Registered => {
                    self.note_registration();
                    Next::GoOn
                }
                Event::RestartDue => {
                    self.restart_at = None;
                    self.restart().await;
                    Next::GoOn
                }
                Event::CheckDue => {
                    self.check().await;
                    Next::GoOn
                }
            };
            if matches!(next, Next::Die) {
                break;
            }
        }
        self.die();
    }

    async fn event(&mut self, stop: &CancellationToken) -> Event {
        let next_check = self.supervision.next_check;
        let running = self.process.is_some();
        tokio::select! {
            biased;
            () = stop.cancelled() => Event::Stop,
            exit = ended(&mut self.process) => Event::Ended(exit),
            Ok(()) = self.registrations.changed() => Event::Registered,
            Some(order) = self.orders.recv() => Event::Ordered(order),
            () = until(self.restart_at) => Event::RestartDue,
            () = until(running.then_some(next_check)) => Event::CheckDue,
        }
    }

    fn note_registration(&mut self) {
        let zxid = self.registrations.borrow_and_update().as_ref().map(|registered| registered.zxid);
        if let Some(zxid) = zxid {
            self.fence.registered(zxid);
        }
    }

    // Orders.

    async fn obey(&mut self, order: Order) -> Next {
        let Order { task, body, deadline, reply } = order;
        // Nobody waits for it any more; what it wanted may be the opposite of what is wanted now.
        if tokio::time::Instant::now() >= deadline || reply.is_closed() {
            info!(task = %task, "dropped an order whose caller has gone");
            return Next::GoOn;
        }
        // A process that has ended but was not noticed yet is no running process.
        if let Some(exit) = self.process.as_mut().and_then(Process::ended_already)
            && matches!(self.process_ended(exit).await, Next::Die)
        {
            let _ = reply.send(Reply::code(Reply::DEAD));
            return Next::Die;
        }
        let answer = match task {
            Task::Check => self.can_configure(&body).await,
            Task::On => self.on(&body).await,
            Task::Off => self.off(&body).await,
            Task::Ok => self.configured(&body).await,
            Task::Signal => self.signal(body).await,
            Task::Kill => self.kill().await,
        };
        let next = if task == Task::Kill { Next::Die } else { Next::GoOn };
        if matches!(next, Next::Die) {
            // Whoever reads the answer and then looks finds a dead pod.
            self.show_dead();
        }
        // The caller may have given up; the order was followed all the same.
        let _ = reply.send(answer);
        next
    }

    async fn can_configure(&mut self, body: &Value) -> Reply {
        let cluster = match self.cluster(body).await {
            Ok(cluster) => cluster,
            Err(_) => return Reply::code(Reply::REFUSED),
        };
        let checked = self.hook("can_configure", |hooks| hooks.can_configure(&cluster)).await;
        Reply::code(if checked.is_ok() { Reply::DONE } else { Reply::REFUSED })
    }

    async fn on(&mut self, body: &Value) -> Reply {
        if is_empty(body) {
            return self.on_again().await;
        }
        let cluster = match self.cluster(body).await {
            Ok(cluster) => cluster,
            Err(code) => return Reply::code(code),
        };
        // Between a crash and the next start nothing runs either, and that is no reason to start earlier.
        if (self.process.is_some() || self.restart_at.is_some()) && !self.needs_configuration(&cluster) {
            return Reply::code(Reply::DONE);
        }
        self.end_process().await;
        self.supervision.forget();
        match self.configure(&cluster).await {
            Ok(()) => Reply::code(Reply::DONE),
            Err(_) => Reply::code(Reply::REFUSED),
        }
    }

    /// A person wants the pod to run, with what it was configured for last.
    async fn on_again(&mut self) -> Reply {
        self.wished_off = false;
        self.supervision.forget();
        if self.process.is_some() {
            return Reply::code(Reply::DONE);
        }
        if self.last.is_none() {
            warn!("told to start before the leader has configured this pod: refused");
            return Reply::code(Reply::REFUSED);
        }
        match self.spawn().await {
            Ok(()) => Reply::code(Reply::DONE),
            Err(_) => Reply::code(Reply::REFUSED),
        }
    }

    fn needs_configuration(&self, cluster: &Cluster) -> bool {
        let Some(last) = &self.last else { return true };
        if last.dependencies != cluster.dependencies {
            return true;
        }
        let retry = cluster.generation.is_some() && last.generation == cluster.generation;
        let peers_changed = last.pods != cluster.pods;
        (self.settings.strict && !retry) || (self.settings.follow_peers && peers_changed)
    }

    async fn off(&mut self, body: &Value) -> Reply {
        // A leader that stops its pods before it configures them says who they are; a person says nothing.
        if is_empty(body) {
            self.wished_off = true;
        } else if let Err(code) = self.cluster(body).await {
            return Reply::code(code);
        }
        self.restart_at = None;
        self.end_process().await;
        self.show();
        Reply::code(Reply::DONE)
    }

    async fn configured(&mut self, body: &Value) -> Reply {
        let cluster = match self.cluster(body).await {
            Ok(cluster) => cluster,
            Err(_) => return Reply::code(Reply::FAILED),
        };
        self.face.configured(cluster.pods.keys().cloned().collect());
        let told = self.hook("configured", |hooks| hooks.configured(&cluster)).await;
        Reply::code(if told.is_ok() { Reply::DONE } else { Reply::FAILED })
    }

    async fn signal(&mut self, body: Value) -> Reply {
        let pid = self.process.as_ref().map(Process::pid);
        let answer = self.hook("signaled", |hooks| hooks.signaled(body, pid)).await;
        match answer {
            Ok(body) if is_empty(&body) => Reply::code(Reply::DONE),
            Ok(body) => Reply { code: Reply::DONE, body },
            Err(_) => Reply::code(Reply::FAILED),
        }
    }

    async fn kill(&mut self) -> Reply {
        info!("killed");
        self.end_process().await;
        self.finalize().await;
        Reply::code(Reply::DONE)
    }

    /// Reads the picture that a leader sent, unless it is a leader of yesterday or one who saw this pod's node before its number was right.
    async fn cluster(&mut self, body: &Value) -> Result<Cluster, u16> {
        let cluster = Cluster::read(body).map_err(|error| {
            warn!(%error, "refused a request that makes no sense");
            Reply::MALFORMED
        })?;
        if !self.fence.admits(cluster.generation) {
            warn!(generation = ?cluster.generation, "refused a leader that is not the leader any more");
            return Err(Reply::REFUSED);
        }
        if self.was_mistaken_for(cluster.seq).await {
            warn!(said = cluster.seq.0, "refused a leader that read this pod's node before its number was right");
            return Err(Reply::REFUSED);
        }
        Ok(cluster)
    }

    /// Whether this number stood in the pod's node by mistake. Any other one is taken as the original does, also one that somebody
    /// made up.
    async fn was_mistaken_for(&mut self, seq: PodSeq) -> bool {
        // A pod that has no number yet gets it within moments, or has no registry.
        let _ = timeout(NUMBER_LIMIT, self.registrations.wait_for(Option::is_some)).await;
        self.note_registration();
        self.registrations.borrow().as_ref().is_some_and(|registered| registered.mistaken == Some(seq))
    }

    // The process.

    async fn configure(&mut self, cluster: &Cluster) -> Result<(), HookError> {
        self.initialize().await?;
        let launch = self.hook("configure", |hooks| hooks.configure(cluster)).await?;
        if launch.command.is_empty() {
            error!("the command is empty");
            return Err(HookError::new("the command is empty"));
        }
        let (pods, dependencies) = (cluster.pods.clone(), cluster.dependencies.clone());
        self.last = Some(Configured { launch, pods, dependencies, generation: cluster.generation });
        info!(pods = cluster.size(), index = cluster.index(), "configured");
        if (self.start || self.spawned_once) && !self.wished_off {
            self.spawn().await?;
        }
        self.show();
        Ok(())
    }

    async fn initialize(&mut self) -> Result<(), HookError> {
        if !self.initialized {
            self.hook("initialize", |hooks| hooks.initialize()).await?;
            self.initialized = true;
        }
        Ok(())
    }

    async fn spawn(&mut self) -> Result<(), HookError> {
        let Some(last) = &self.last else { return Err(HookError::new("not configured")) };
        let log = self.settings.pipe_output.then_some(&self.log);
        match Process::spawn(&last.launch, &self.variables, log) {
            Ok(process) => {
                info!(pid = process.pid(), "started");
                self.process = Some(process);
                self.spawned_once = true;
                self.restart_at = None;
                self.supervision.started(Instant::now());
                self.show();
                Ok(())
            }
            Err(error) => {
                error!(command = ?last.launch.command, %error, "cannot start the command");
                self.show();
                Err(HookError::new(error.to_string()))
            }
        }
    }

    async fn end_process(&mut self) {
        self.restart_at = None;
        let Some(process) = self.process.take() else { return };
        self.face.change(|view| view.process = ProcessState::Terminating);
        let pid = process.pid();
        // Whatever comes of it, waiting and killing follow.
        let _ = self.hook("tear_down", |hooks| hooks.tear_down(pid)).await;
        if process.end(self.settings.grace, self.settings.soft).await == Ending::Gone {
            info!(pid, "ended");
        }
        self.show();
    }

    async fn process_ended(&mut self, exit: Exit) -> Next {
        let Some(mut process) = self.process.take() else { return Next::GoOn };
        process.end_stragglers().await;
        if exit == Exit::Code(0) {
            info!(pid = process.pid(), "the process is done");
            self.finalize().await;
            return Next::Die;
        }
        let verdict = self.supervision.crashed(Instant::now());
        warn!(pid = process.pid(), %exit, next = ?verdict, "the process crashed");
        if let Verdict::RestartAfter(pause) = verdict {
            self.restart_at = Some(Instant::now() + pause);
        }
        self.show();
        self.explain_crash(exit, verdict);
        Next::GoOn
    }

    fn explain_crash(&self, exit: Exit, verdict: Verdict) {
        let crashes = self.supervision.crashes_in_a_row();
        let detail = match verdict {
            Verdict::RestartAfter(pause) if crashes > 1 => {
                format!("crash looping: {crashes} crashes in a row, {exit}, next start {} s after the last", pause.as_secs())
            }
            Verdict::TurnOff => format!("turned off after {crashes} crashes in a row, {exit}"),
            _ => return,
        };
        self.face.change(|view| view.detail = Some(detail));
    }

    async fn restart(&mut self) {
        if self.spawn().await.is_err() {
            let now = Instant::now();
            if let Verdict::RestartAfter(pause) = self.supervision.crashed(now) {
                self.restart_at = Some(now + pause);
            }
        }
    }

    async fn check(&mut self) {
        let verdict = match self.supervision.begin_check(Instant::now()) {
            Some(verdict) => verdict,
            None => {
                let Some(pid) = self.process.as_ref().map(Process::pid) else { return };
                let checked = self.hook("sanity_check", |hooks| hooks.sanity_check(pid)).await;
                let passed = checked.is_ok();
                if let Ok(metrics) = checked {
                    self.face.change(|view| view.metrics = metrics);
                }
                self.supervision.checked(passed, Instant::now())
            }
        };
        if verdict == Verdict::TurnOff {
            warn!("too many failed checks: turned off");
            self.end_process().await;
            self.face.change(|view| view.detail = Some("turned off after too many failed checks".to_owned()));
        }
    }

    // Hooks and what is shown.

    /// Runs a hook within its time. A hook that panics or is late has failed.
    async fn hook<'a, T>(
        &'a mut self,
        name: &'static str,
        call: impl FnOnce(&'a mut dyn Hooks) -> futures::future::BoxFuture<'a, Result<T, HookError>>,
    ) -> Result<T, HookError> {
        let limit = self.settings.hook_limit;
        let running = AssertUnwindSafe(async { call(&mut *self.hooks).await }).catch_unwind();
        let result = match timeout(limit, running).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(HookError::new("it panicked")),
            Err(_) => Err(HookError::new(format!("no end within {} s", limit.as_secs()))),
        };
        if let Err(error) = &result {
            warn!(hook = name, %error, "a hook failed");
        }
        result
    }

    async fn finalize(&mut self) {
        let _ = self.hook("finalize", |hooks| hooks.finalize()).await;
    }

    fn show(&self) {
        let running = self.process.is_some();
        let detail = self.wished_off.then(|| "turned off by request; `on` starts it".to_owned());
        self.face.change(|view| {
            view.process = if running { ProcessState::Running } else { ProcessState::Stopped };
            view.detail = detail;
            if !running {
                view.metrics = Map::new();
            }
        });
    }

    /// Answers what is still queued, so that nobody waits for a dead pod.
    fn die(mut self) {
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            let _ = order.reply.send(Reply::code(Reply::DEAD));
        }
        self.show_dead();
    }

    fn show_dead(&self) {
        self.face.change(|view| {
            view.process = ProcessState::Dead;
            view.metrics = Map::new();
        });
    }
}

/// Whether the original takes it for nothing: no body, `false`, zero, or an object, list or text with nothing in it.
fn is_empty(body: &Value) -> bool {
    match body {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(so) => !so,
        Value::Number(number) => number.as_f64() == Some(0.0),
    }
}

async fn ended(process: &mut Option<Process>) -> Exit {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::control::task::Task;
    use crate::hooks::PlainHooks;

    #[tokio::test]
    async fn a_number_that_stood_there_by_mistake_is_refused_and_no_other() {
        let (registrations, registered) = watch::channel(None);
        let face = Arc::new(Face::new(Vec::new()));
        let (pod, orders) = Lifecycle::new(
            Box::new(PlainHooks::new(vec!["true".to_owned()])),
            LifecycleSettings::default(),
            Variables::default(),
            true,
            face,
            Log::default(),
            registered,
        );
        let stop = CancellationToken::new();
        let living = tokio::spawn(pod.run(stop.clone()));
        let checked = async |seq: u32| {
            let pods = json!({"k": {"seq": seq, "ip": "127.0.0.1", "ports": {}}});
            let body = json!({"key": "k", "pods": pods, "dependencies": {}});
            orders.give(Task::Check, body, Duration::from_secs(60)).await.code
        };
        let place = Registered { seq: PodSeq(2), mistaken: Some(PodSeq(1)), zxid: 7, path: "/k.2".to_owned() };
        // It waits for the pod's place in the registry.
        let (early, _) = tokio::join!(checked(1), async { registrations.send_replace(Some(place.clone())) });
        assert_eq!((early, checked(2).await, checked(9).await), (406, 200, 200));
        registrations.send_replace(Some(Registered { mistaken: None, ..place }));
        assert_eq!(checked(1).await, 200);
        stop.cancel();
        living.await.unwrap();
    }
}
