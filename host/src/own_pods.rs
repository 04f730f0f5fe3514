//! The host itself as pods: `marathon.portal` and `marathon.servo`, so that listings show it as they always did.
//!
//! Each has a control port that answers `/info` and `/log`, wants a signature for `/exec` and orders, and refuses orders that would end the
//! host. Questions of this host's own
//! runs never go over that port: [`OwnPods`] answers them, since only there is it known who asks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use ocho_core::signature::Token;
use ocho_core::{ClusterName, PodId};
use ocho_runtime::host::{Answer, PodOutcome, Pods, Problem, Upload, Verb};
use ochopod::{Member, Standing, ZookeeperHosts};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::auth::{Auth, Denied};
use crate::log;

/// One face of the host as a pod. Cheap to clone.
#[derive(Clone)]
pub struct OwnPod(Arc<Inner>);

struct Inner {
    cluster: ClusterName,
    registration: Map<String, Value>,
    standing: watch::Receiver<Standing>,
    started: Instant,
    token: Option<Token>,
    auth: Auth,
    publish_token: bool,
    tools: OnceLock<Arc<dyn PodTools>>,
}

/// Tools that a pod of the host's runs for `exec`.
pub trait PodTools: Send + Sync {
    /// Runs a line with the files that came with it.
    fn exec(&self, line: String, files: Vec<Upload>) -> BoxFuture<'static, PodOutcome>;
}

/// What a face says of itself.
pub struct OwnPodConfig<'a> {
    /// `portal` or `servo`.
    pub name: &'static str,
    /// Address at which others reach this host.
    pub ip: IpAddr,
    /// The face's port as its users know it, and where it listens.
    pub face: (u16, u16),
    /// Where the control port listens.
    pub control: u16,
    /// The registry.
    pub zookeeper: &'a ZookeeperHosts,
    /// The secret that `poll` shows to a signed caller.
    pub token: Option<Token>,
    /// Whether anybody may read the token from `/info`, as an original servo does.
    pub publish_token: bool,
}

/// A bundle that comes with `/exec`, and what else is in the form.
const UPLOAD_BYTES: usize = 64 << 20;

/// The control port's number inside a container; others find the real one under it.
const CONTROL: &str = "8080";

impl OwnPod {
    /// Prepares the pod, and the member of its cluster that has to run.
    #[must_use]
    pub fn new(config: &OwnPodConfig<'_>) -> (Self, Member) {
        let cluster: ClusterName = format!("marathon.{}", config.name).parse().expect("a good name");
        let registration = registration(config);
        let member = Member::new(config.zookeeper.clone(), cluster.clone(), registration.clone());
        let inner = Inner {
            cluster,
            registration,
            standing: member.standing(),
            started: Instant::now(),
            token: config.token.clone(),
            auth: Auth::new(config.token.clone(), true),
            publish_token: config.publish_token,
            tools: OnceLock::new(),
        };
        (Self(Arc::new(inner)), member)
    }

    /// Routes of the control port, in the form of a pod's.
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/info", post(|State(pod): State<Self>| async move { Json(pod.info(pod.0.publish_token)) }))
            .route("/log", post(|| async { Json(log::recent()) }))
            .route("/control/{task}", post(control))
            .route("/control/{task}/{seconds}", post(control))
            .route("/reset", post(reset))
            .route("/exec", post(exec))
            .layer(DefaultBodyLimit::max(UPLOAD_BYTES))
            .fallback(|| async { (StatusCode::NOT_FOUND, Json(json!({}))) })
            .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, Json(json!({}))) })
            .with_state(self.clone())
    }

    /// Waits until the registry has it. Never, if it is not kept registered any more.
    pub async fn registered(&self) {
        if self.0.standing.clone().wait_for(|standing| standing.registered).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn is(&self, pod: &PodId) -> bool {
        self.0.cluster == pod.cluster && self.0.standing.borrow().seq == Some(pod.seq)
    }

    fn info(&self, with_token: bool) -> Value {
        let standing = *self.0.standing.borrow();
        let hours = self.0.started.elapsed().as_secs_f64() / 3600.0;
        let mut metrics = json!({"uptime": format!("{hours:.2} hours (pid {})", std::process::id())});
        if with_token {
            metrics["token"] = json!(self.0.token.as_ref().map_or("", Token::reveal));
        }
        let mut info = json!({
            "process": "running", "state": if standing.leads { "leader" } else { "follower" }, "status": "", "dependencies": [],
            "metrics": metrics,
        });
        for key in ["application", "ip", "node", "port", "ports", "public", "task"] {
            info[key] = self.0.registration[key].clone();
        }
        info
    }

    /// Gives the pod its tools, once they are there.
    pub fn set_tools(&self, tools: Arc<dyn PodTools>) {
        // A second set would be a bug, and the first one serves as well.
        let _ = self.0.tools.set(tools);
    }

    async fn answer(&self, verb: &Verb) -> PodOutcome {
        match verb {
            Verb::Exec { command_line, files } if self.0.tools.get().is_some() => {
                let tools = self.0.tools.get().cloned().expect("just seen");
                tools.exec(command_line.clone(), files.clone()).await
            }
            Verb::Info => replied(&self.info(true)),
            Verb::Log => replied(&json!(log::recent())),
            _ => PodOutcome::Other(Problem::new(
                "host-pod",
                format!("{} is the host itself; stop it where it runs", self.0.cluster),
            )),
        }
    }
}

fn replied(body: &Value) -> PodOutcome {
    PodOutcome::Replied { status: 200, body: body.to_string() }
}

fn registration(config: &OwnPodConfig<'_>) -> Map<String, Value> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let ip = config.ip.to_string();
    let node = std::env::var("HOST").unwrap_or_else(|_| ip.clone());
    let value = json!({
        "application": variable("MARATHON_APP_ID").trim_start_matches('/'), "task": variable("MESOS_TASK_ID"),
        "cluster": config.name, "namespace": "marathon", "ip": ip, "public": "", "node": node, "port": CONTROL,
        "ports": {CONTROL: config.control, config.face.0.to_string(): config.face.1},
        "zk": config.zookeeper.to_string(), "fwk": "marathon", "debug": "false", "local": "false", "start": "true",
    });
    match value {
        Value::Object(members) => members,
        _ => unreachable!("an object was written"),
    }
}

/// `check` and `ok` belong to the forming of a cluster and harm nobody; the rest would end the host.
async fn control(State(pod): State<OwnPod>, Path(path): Path<HashMap<String, String>>, request: Request) -> Response {
    match path.get("task").map(String::as_str) {
        Some("check" | "ok") => Json(json!({})).into_response(),
        Some("on" | "off" | "kill" | "signal") => pod.refuse(request).await,
        _ => (StatusCode::BAD_REQUEST, Json(json!({}))).into_response(),
    }
}

async fn reset(State(pod): State<OwnPod>, request: Request) -> Response {
    pod.refuse(request).await
}

/// Runs one of the pod's tools for whoever knows the token.
async fn exec(State(pod): State<OwnPod>, request: Request) -> Response {
    let request = match pod.0.auth.check(request).await {
        Ok(request) => request,
        Err(denied) => return unsigned(&denied),
    };
    let Some(tools) = pod.0.tools.get().cloned() else { return told(StatusCode::NOT_FOUND, "this pod has no tools") };
    let Some(line) = request.headers().get("x-shell").and_then(|line| line.to_str().ok()).map(str::to_owned) else {
        return told(StatusCode::BAD_REQUEST, "the header X-Shell is missing");
    };
    let files = match files(request).await {
        Ok(files) => files,
        Err(error) => return told(StatusCode::BAD_REQUEST, &error),
    };
    match tools.exec(line, files).await {
        PodOutcome::Replied { status, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
        }
        PodOutcome::Other(problem) => told(StatusCode::INTERNAL_SERVER_ERROR, &problem.message),
        _ => told(StatusCode::INTERNAL_SERVER_ERROR, "the tool gave no answer"),
    }
}

/// The files of a form, each under the name of its field; none where there is no form.
async fn files(request: Request) -> Result<Vec<Upload>, String> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/form-data") {
        return Ok(Vec::new());
    }
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| error.to_string())?;
    let mut files = Vec::new();
    while let Some(part) = form.next_field().await.map_err(|error| error.to_string())? {
        if part.file_name().is_some() {
            let name = part.name().unwrap_or_default().to_owned();
            files.push(Upload { name, content: part.bytes().await.map_err(|error| error.to_string())? });
        }
    }
    Ok(files)
}

/// By the code the tools of another host know whom they met.
fn told(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"code": "host-pod", "error": why}))).into_response()
}

fn unsigned(denied: &Denied) -> Response {
    told(StatusCode::UNAUTHORIZED, &format!("this pod is the host itself, and takes signed requests only: {denied}"))
}

impl OwnPod {
    /// To strangers it does not even say what it would not do.
    async fn refuse(&self, request: Request) -> Response {
        match self.0.auth.check(request).await {
            Ok(_) => told(StatusCode::NOT_ACCEPTABLE, "this pod is the host itself; stop it where it runs"),
            Err(denied) => unsigned(&denied),
        }
    }
}

/// The pods' control ports, except for the host's own pods, which it answers for itself.
pub struct OwnPods {
    own: Vec<OwnPod>,
    others: Arc<dyn Pods>,
}

impl OwnPods {
    /// Answers for `own` and asks `others` about the rest.
    #[must_use]
    pub fn new(own: Vec<OwnPod>, others: Arc<dyn Pods>) -> Self {
        Self { own, others }
    }
}

impl Pods for OwnPods {
    fn ask(&self, pods: Vec<PodId>, verb: Verb, timeout: Duration) -> BoxFuture<'_, Vec<Answer>> {
        async move {
            let ours: Vec<Option<&OwnPod>> = pods.iter().map(|pod| self.own.iter().find(|own| own.is(pod))).collect();
            let theirs = pods.iter().zip(&ours).filter(|(_, own)| own.is_none()).map(|(pod, _)| pod.clone()).collect();
            let own_answer = async |pod: &PodId, own: &OwnPod| {
                let started = Instant::now();
                let outcome = tokio::time::timeout(timeout, own.answer(&verb)).await.unwrap_or(PodOutcome::TimedOut);
                Answer { pod: pod.clone(), outcome, elapsed: started.elapsed() }
            };
            let of_own = pods.iter().zip(&ours).filter_map(|(pod, own)| Some(own_answer(pod, (*own)?)));
            let (of_own, of_others) = tokio::join!(join_all(of_own), self.others.ask(theirs, verb.clone(), timeout));
            let (mut of_own, mut of_others) = (of_own.into_iter(), of_others.into_iter());
            ours.iter().filter_map(|own| if own.is_some() { of_own.next() } else { of_others.next() }).collect()
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use ocho_core::PodSeq;

    use super::*;

    struct Silent;

    impl Pods for Silent {
        fn ask(&self, pods: Vec<PodId>, _: Verb, elapsed: Duration) -> BoxFuture<'_, Vec<Answer>> {
            let answer = move |pod| Answer { pod, outcome: PodOutcome::TimedOut, elapsed };
            async move { pods.into_iter().map(answer).collect() }.boxed()
        }
    }

    fn own() -> OwnPod {
        let (set, standing) = watch::channel(Standing { seq: Some(PodSeq(7)), registered: true, leads: true });
        set.send_replace(Standing { seq: Some(PodSeq(7)), registered: true, leads: true });
        let config = OwnPodConfig {
            name: "portal",
            ip: "127.0.0.1".parse().unwrap(),
            face: (9000, 1234),
            control: 5678,
            zookeeper: &"127.0.0.1:2181".parse().unwrap(),
            token: Token::new("s3cret"),
            publish_token: false,
        };
        let registration = registration(&config);
        let cluster = "marathon.portal".parse().unwrap();
        OwnPod(Arc::new(Inner {
            cluster,
            registration,
            standing,
            started: Instant::now(),
            token: config.token.clone(),
            auth: Auth::new(config.token.clone(), true),
            publish_token: false,
            tools: OnceLock::new(),
        }))
    }

    #[tokio::test]
    async fn own_pods_are_answered_here_and_in_order() {
        let pods = OwnPods::new(vec![own()], Arc::new(Silent));
        let ids: Vec<PodId> =
            ["marathon.web #1", "marathon.portal #7", "marathon.portal #8"].iter().map(|key| key.parse().unwrap()).collect();
        let answers = pods.ask(ids.clone(), Verb::Info, Duration::from_secs(1)).await;
        assert_eq!(answers.iter().map(|answer| answer.pod.clone()).collect::<Vec<_>>(), ids);
        assert_eq!((&answers[0].outcome, &answers[2].outcome), (&PodOutcome::TimedOut, &PodOutcome::TimedOut));
        let PodOutcome::Replied { status: 200, body } = &answers[1].outcome else { panic!("{answers:?}") };
        let info: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&info["process"], &info["state"], &info["ports"]["9000"]),
            (&json!("running"), &json!("leader"), &json!(1234))
        );
        assert_eq!(info["metrics"]["token"], "s3cret", "for `poll`; the runtime masks it for everybody else");
    }

    #[tokio::test]
    async fn what_would_end_the_host_is_refused() {
        let pods = OwnPods::new(vec![own()], Arc::new(Silent));
        for verb in [Verb::Kill, Verb::Off, Verb::Reregister] {
            let answers = pods.ask(vec!["marathon.portal #7".parse().unwrap()], verb, Duration::from_secs(1)).await;
            assert!(matches!(&answers[0].outcome, PodOutcome::Other(problem) if problem.code == "host-pod"), "{answers:?}");
        }
    }

    #[test]
    fn the_token_stays_out_of_the_registration_and_the_open_info() {
        let own = own();
        assert!(!json!(own.0.registration).to_string().contains("s3cret"));
        assert_eq!(own.info(own.0.publish_token)["metrics"].get("token"), None);
    }
}
