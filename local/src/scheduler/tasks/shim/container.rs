//! A task as a container of a Docker engine.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Record;
use super::ears::{Ears, Heard};
use super::output::Rotating;
use crate::scheduler::tasks::docker::{Docker, DockerError, quoted};
use crate::scheduler::tasks::spec::{ContainerSpec, How, TaskDir, TaskSpec};

/// How long the rest of the output may take once the container is gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the container to its end and removes it.
pub(super) async fn run(
    dir: &TaskDir,
    spec: &TaskSpec,
    container: &ContainerSpec,
    ears: &mut Ears,
    record: &mut Record<'_>,
) -> How {
    let docker = Docker::at(&container.socket);
    let started = tokio::select! {
        started = start(&docker, container) => started,
        () = ears.any_end() => return How::failed("the task was killed before it started"),
    };
    let how = match started {
        Ok(()) => {
            record.started(None);
            live(&docker, dir, spec, container, ears).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = docker.remove(&container.name).await {
        say!("cannot remove the container: {error}");
    }
    how.unwrap_or_else(|error| How::failed(&error.to_string()))
}

async fn start(docker: &Docker, container: &ContainerSpec) -> Result<(), DockerError> {
    docker.need_image(&container.image, container.always_pull).await?;
    docker.remove(&container.name).await?;
    docker.order(Method::POST, &format!("/containers/create?name={}", quoted(&container.name)), Some(&container.create)).await?;
    docker.order(Method::POST, &path(container, "start"), None).await.map(drop)
}

fn path(container: &ContainerSpec, what: &str) -> String {
    format!("/containers/{}/{what}", quoted(&container.name))
}

async fn live(
    docker: &Docker,
    dir: &TaskDir,
    spec: &TaskSpec,
    container: &ContainerSpec,
    ears: &mut Ears,
) -> Result<How, DockerError> {
    let mut copies = JoinSet::new();
    let logs = docker.send(Method::GET, &path(container, "logs?follow=true&stdout=true&stderr=true"), None).await?;
    let file = |name: &str| Rotating::new(dir.sandbox().join(name), spec.output_bytes);
    let raw = container.create["Tty"] == true;
    copies.spawn(copy(logs.into_body(), [file("stdout"), file("stderr")], raw));
    let seconds = spec.grace_ms.div_ceil(1000);
    let wait = path(container, "wait");
    let end = docker.send(Method::POST, &wait, None);
    tokio::pin!(end);
    let mut orders = JoinSet::new();
    let code = loop {
        let heard = tokio::select! {
            ended = &mut end => break exit_code(ended?).await?,
            heard = ears.next() => heard,
        };
        let order = match heard {
            Heard::Child => continue,
            Heard::End => path(container, &format!("stop?t={seconds}")),
            Heard::EndNow => path(container, "kill"),
        };
        let docker = docker.clone();
        // Beside the wait: stopping lasts as long as the grace period, and may be overtaken by a kill.
        orders.spawn(async move {
            if let Err(error) = docker.order(Method::POST, &order, None).await {
                say!("{error}");
            }
        });
    };
    let rest = async { while copies.join_next().await.is_some() {} };
    let _ = timeout(LAST_WORDS, rest).await;
    let state = docker.order(Method::GET, &path(container, "json"), None).await.unwrap_or_default();
    if state["State"]["OOMKilled"] == true {
        return Ok(How::OutOfMemory);
    }
    // As a shell counts: 128 and the signal.
    Ok(match i32::try_from(code).unwrap_or(-1) {
        code @ 129..160 => How::Signaled(code - 128),
        code => How::Exited(code),
    })
}

async fn exit_code(response: http::Response<Incoming>) -> Result<i64, DockerError> {
    let garbage = || DockerError::Garbage { what: "the wait for a container".into() };
    let body = response.into_body().collect().await.map_err(|_| garbage())?.to_bytes();
    let ended: Value = serde_json::from_slice(&body).map_err(|_| garbage())?;
    ended["StatusCode"].as_i64().ok_or_else(garbage)
}

/// Copies a container's output. Without a terminal it comes in frames: stream, three zeros, length, data.
async fn copy(mut body: Incoming, mut files: [Rotating; 2], raw: bool) {
    let mut cutter = Cutter::default();
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        if raw {
            files[0].keep(data);
        } else {
            cutter.cut(data, |stream, part| files[usize::from(stream == 2)].keep(part));
        }
    }
}

/// Takes frames apart that may come in any portions.
#[derive(Default)]
struct Cutter {
    head: Vec<u8>,
    left: usize,
}

impl Cutter {
    fn cut(&mut self, mut data: &[u8], mut keep: impl FnMut(u8, &[u8])) {
        while !data.is_empty() {
            if self.left == 0 {
                let missing = (8 - self.head.len()).min(data.len());
                self.head.extend_from_slice(&data[..missing]);
                data = &data[missing..];
                if let [_, _, _, _, length @ ..] = self.head.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.left = u32::from_be_bytes(length) as usize;
                    if self.left == 0 {
                        self.head.clear();
                    }
                }
                continue;
            }
            let part = &data[..data.len().min(self.left)];
            keep(self.head.first().copied().unwrap_or(1), part);
            data = &data[part.len()..];
            self.left -= part.len();
            if self.left == 0 {
                self.head.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(stream: u8, text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("short").to_be_bytes();
        [&[stream, 0, 0, 0], length.as_slice(), text].concat()
    }

    proptest! {
        #[test]
        fn frames_in_any_portions(sizes in prop::collection::vec(1_usize..12, 0..20)) {
            let all = [frame(1, b"out"), frame(2, b""), frame(2, b"error"), frame(1, b"more")].concat();
            let mut rest = all.as_slice();
            let mut cutter = Cutter::default();
            let mut got = [Vec::new(), Vec::new()];
            for size in sizes.into_iter().chain([all.len()]) {
                let (portion, later) = rest.split_at(size.min(rest.len()));
                cutter.cut(portion, |stream, part| got[usize::from(stream == 2)].extend_from_slice(part));
                rest = later;
            }
            prop_assert_eq!(got, [b"outmore".to_vec(), b"error".to_vec()]);
        }

        #[test]
        fn garbage_is_no_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
            Cutter::default().cut(&data, |_, _| {});
        }
    }
}
