//! Carrying a case out: requests, waits, and the event stream beside them.

use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::matcher::{Saved, matches};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What a case waits for gets so long at least: the cases tell the time of a quiet machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came back.
struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.text).ok()
    }
}

/// One case being run.
pub(super) struct Runner<'a> {
    client: &'a Client,
    url: &'a str,
    saved: Saved,
}

impl<'a> Runner<'a> {
    pub(super) fn new(client: &'a Client, url: &'a str) -> Self {
        Self { client, url, saved: Saved::new() }
    }

    /// Runs a case against an empty engine.
    pub(super) async fn run(mut self, case: &Value) -> Result<(), String> {
        for step in list(case, "setup") {
            self.step(step).await.map_err(|wrong| format!("setup {step}: {wrong}"))?;
        }
        let mut events = match case.get("sse") {
            Some(sse) => Some(Events::open(self.client, self.url, sse).await?),
            None => None,
        };
        let reply = self.request(case).await?;
        self.judge(case, &reply).map_err(|wrong| format!("{wrong}\n      answer: {} {}", reply.status, reply.text))?;
        for step in list(case, "then") {
            self.step(step).await.map_err(|wrong| format!("then {step}: {wrong}"))?;
        }
        match &mut events {
            Some(events) => events.expect(&self.saved).await,
            None => Ok(()),
        }
    }

    async fn step(&mut self, step: &Value) -> Result<(), String> {
        if step.get("wait").is_some() {
            return self.wait(step).await;
        }
        // A step without the word has to hold at once.
        let end = Instant::now() + patience(step.get("poll_s")).unwrap_or_default();
        loop {
            let reply = self.request(step).await?;
            match self.judge(step, &reply) {
                Ok(()) => return self.save(step, &reply),
                Err(wrong) if Instant::now() >= end => {
                    return Err(format!("{wrong}\n      answer: {} {}", reply.status, reply.text));
                }
                Err(_) => sleep(LOOK).await,
            }
        }
    }

    fn save(&mut self, step: &Value, reply: &Reply) -> Result<(), String> {
        let body = reply.json().unwrap_or_default();
        for (name, pointer) in step.get("save").and_then(Value::as_object).into_iter().flatten() {
            let value = pointer.as_str().and_then(|pointer| body.pointer(pointer));
            self.saved.insert(name.clone(), value.ok_or_else(|| format!("nothing at {pointer} in {body}"))?.clone());
        }
        Ok(())
    }

    fn judge(&self, step: &Value, reply: &Reply) -> Result<(), String> {
        match step.get("expect_status").and_then(Value::as_u64) {
            Some(status) if status != u64::from(reply.status) => return Err(format!("status {}, wanted {status}", reply.status)),
            None if !(200..300).contains(&reply.status) => return Err(format!("status {}", reply.status)),
            _ => {}
        }
        if let Some(pattern) = step.get("expect_json").filter(|pattern| !pattern.is_null()) {
            matches(pattern, Some(&reply.json().ok_or("the body is not JSON")?), &self.saved)?;
        }
        if let Some(pattern) = step.get("expect_text") {
            matches(&json!({ "$regex": pattern }), Some(&reply.text.as_str().into()), &self.saved)?;
        }
        for (name, pattern) in step.get("expect_headers").and_then(Value::as_object).into_iter().flatten() {
            let value = reply.headers.get(name).and_then(|value| value.to_str().ok()).map(Value::from);
            matches(&json!({ "$regex": pattern }), value.as_ref(), &self.saved)
                .map_err(|wrong| format!("header {name}{wrong}"))?;
        }
        Ok(())
    }

    async fn request(&self, step: &Value) -> Result<Reply, String> {
        let text = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or_default();
        let method = Method::from_bytes(text("method").as_bytes()).map_err(|cause| cause.to_string())?;
        let mut request = self.client.request(method, format!("{}{}", self.url, self.fill(text("path"))));
        let mut has_type = false;
        for (name, value) in step.get("headers").and_then(Value::as_object).into_iter().flatten() {
            has_type |= name.eq_ignore_ascii_case("content-type");
            request = request.header(name, self.fill(value.as_str().unwrap_or_default()));
        }
        let body = match (step.get("raw_body"), step.get("body")) {
            (Some(raw), _) => raw.as_str().map(str::to_owned),
            (None, Some(body)) if !body.is_null() => Some(self.fill(&body.to_string())),
            _ => None,
        };
        if let Some(body) = body {
            request = if has_type { request } else { request.header("Content-Type", "application/json") };
            request = request.body(body);
        }
        let reply = request.send().await.map_err(|cause| format!("no answer: {cause:?}"))?;
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        Ok(Reply { status, headers, text: reply.text().await.map_err(|cause| format!("no body: {cause}"))? })
    }

    /// Puts saved values in the place of `${name}`.
    fn fill(&self, text: &str) -> String {
        self.saved.iter().fold(text.to_owned(), |text, (name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.replace(&format!("${{{name}}}"), &value)
        })
    }

    async fn wait(&mut self, step: &Value) -> Result<(), String> {
        let app = step.get("app").and_then(Value::as_str).unwrap_or_default();
        let (path, pattern) = match step.get("wait").and_then(Value::as_str) {
            Some("sleep") => {
                sleep(seconds(step.get("seconds")).unwrap_or_default()).await;
                return Ok(());
            }
            Some("deployments_done") => ("/v2/deployments".to_owned(), json!({ "$len": 0 })),
            Some("json") => (
                self.fill(step.get("path").and_then(Value::as_str).unwrap_or_default()),
                step.get("expect_json").cloned().unwrap_or_default(),
            ),
            Some("tasks_running") => return self.wait_for_tasks(app, step).await,
            other => return Err(format!("the runner does not know {other:?}")),
        };
        self.poll(&path, step, |saved, body| matches(&pattern, Some(body), saved)).await
    }

    async fn wait_for_tasks(&self, app: &str, step: &Value) -> Result<(), String> {
        let wanted = step.get("count").and_then(Value::as_u64);
        let path = format!("/v2/apps{app}/tasks");
        self.poll(&path, step, |_, body| {
            let tasks = body["tasks"].as_array().map_or(&[] as &[Value], Vec::as_slice);
            let running = tasks.iter().filter(|task| task["state"] == "TASK_RUNNING").count() as u64;
            if Some(running) == wanted { Ok(()) } else { Err(format!("{running} tasks run")) }
        })
        .await
    }

    async fn poll(&self, path: &str, step: &Value, fits: impl Fn(&Saved, &Value) -> Result<(), String>) -> Result<(), String> {
        let end = Instant::now() + patience(step.get("timeout_s")).unwrap_or(PATIENCE);
        let get = json!({ "method": "GET", "path": path });
        loop {
            let reply = self.request(&get).await?;
            match fits(&self.saved, &reply.json().unwrap_or_default()) {
                Ok(()) => return Ok(()),
                Err(wrong) if Instant::now() >= end => return Err(format!("{wrong}\n      at last: {}", reply.text)),
                Err(_) => sleep(LOOK).await,
            }
        }
    }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// How long to wait for a condition, where a case says that it waits.
fn patience(value: Option<&Value>) -> Option<Duration> {
    seconds(value).map(|told| told.max(PATIENCE))
}

fn seconds(value: Option<&Value>) -> Option<Duration> {
    value.and_then(Value::as_f64).map(Duration::from_secs_f64)
}

/// An open event stream, and what a case says about it.
struct Events {
    reply: futures::stream::BoxStream<'static, reqwest::Result<Vec<u8>>>,
    text: String,
    expected: Vec<Value>,
    only: Vec<String>,
    within: Duration,
}

impl Events {
    async fn open(client: &Client, url: &str, sse: &Value) -> Result<Self, String> {
        let path = sse.get("path").and_then(Value::as_str).unwrap_or("/v2/events");
        let request = client.get(format!("{url}{path}")).header("Accept", "text/event-stream");
        let reply = request.send().await.map_err(|cause| format!("no event stream: {cause}"))?;
        if reply.status() != 200 {
            return Err(format!("event stream: status {}", reply.status()));
        }
        let only = list(sse, "only_types").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Self {
            reply: reply.bytes_stream().map(|chunk| chunk.map(|chunk| chunk.to_vec())).boxed(),
            text: String::new(),
            expected: list(sse, "expect_events").to_vec(),
            only,
            within: patience(sse.get("within_s")).unwrap_or(PATIENCE),
        })
    }

    async fn expect(&mut self, saved: &Saved) -> Result<(), String> {
        let (mut missing, within) = (std::mem::take(&mut self.expected), self.within);
        let reading = async {
            while !missing.is_empty() {
                let event = self.next().await?;
                let kind = event["eventType"].as_str().unwrap_or_default();
                if !self.only.is_empty() && !self.only.iter().any(|only| only == kind) {
                    return Err(format!("an event of type {kind} came through the filter"));
                }
                missing.retain(|pattern| matches(pattern, Some(&event), saved).is_err());
            }
            Ok(())
        };
        let in_time = timeout(within, reading).await;
        in_time.unwrap_or_else(|_| Err(format!("no event matched {missing:?}")))
    }

    /// The data of the next event.
    async fn next(&mut self) -> Result<Value, String> {
        loop {
            if let Some(end) = self.text.find("\r\n\r\n") {
                let frame: String = self.text.drain(..end + 4).collect();
                let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
                match data {
                    Some(data) => return serde_json::from_str(data).map_err(|cause| format!("{cause} in {data}")),
                    None => continue,
                }
            }
            let chunk = self.reply.next().await.ok_or("the event stream ended")?.map_err(|cause| cause.to_string())?;
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}
