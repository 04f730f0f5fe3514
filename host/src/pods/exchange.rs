//! One question to one pod, from connection to the end of its reply.

use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::{Body, Incoming};
use ocho_core::registration::ControlAddress;
use ocho_runtime::host::{PodOutcome, Problem};

use super::connections::{Connection, Kept, stays_open};
use super::request::Prepared;

/// How many bytes may still be read.
#[derive(Debug)]
pub(super) struct Budget {
    of_one: usize,
    of_all: usize,
    left: AtomicUsize,
}

/// Why a pod's reply did not come.
#[derive(Debug)]
enum Failed {
    /// The connection ended before the reply began.
    ClosedEarly(String),
    /// Everything else that one pod may do.
    Told(PodOutcome),
}

impl Budget {
    /// Bytes of each reply, and of all replies together.
    pub(super) fn new(of_one: usize, of_all: usize) -> Self {
        Self { of_one, of_all, left: AtomicUsize::new(of_all) }
    }

    /// Takes `more` bytes for a reply that has `so_far` of them.
    fn spend(&self, so_far: usize, more: usize) -> Result<(), Problem> {
        if so_far.saturating_add(more) > self.of_one {
            return Err(too_large(format!("the pod's reply has more than {} bytes", self.of_one)));
        }
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(more)) {
            Ok(_before) => Ok(()),
            Err(_) => Err(too_large(format!("the pods' replies together have more than {} bytes", self.of_all))),
        }
    }
}

/// Asks a pod and reads all of its reply. Bounded in time by its caller.
pub(super) async fn exchange(kept: &Kept, address: &ControlAddress, request: &Prepared, budget: &Budget) -> PodOutcome {
    // An order that must not come twice never takes a kept connection: its early end would not tell whether it arrived.
    if request.is_repeatable
        && let Some(connection) = kept.take(address)
    {
        match once(kept, connection, address, request, budget).await {
            Ok(outcome) | Err(Failed::Told(outcome)) => return outcome,
            // The pod closed it while it was kept. Once more, on a new one.
            Err(Failed::ClosedEarly(_)) => {}
        }
    }
    let connection = match Connection::open(address).await {
        Ok(connection) => connection,
        Err(error) => return PodOutcome::Unreachable(crate::net::reason(&error)),
    };
    match once(kept, connection, address, request, budget).await {
        Ok(outcome) | Err(Failed::Told(outcome)) => outcome,
        Err(Failed::ClosedEarly(reason)) => PodOutcome::Unreachable(reason),
    }
}

async fn once(
    kept: &Kept,
    mut connection: Connection,
    address: &ControlAddress,
    request: &Prepared,
    budget: &Budget,
) -> Result<PodOutcome, Failed> {
    let request = request.to(address).map_err(|error| other("bad-request", error.to_string()))?;
    let reply = connection.send(request).await.map_err(|error| no_reply(&error))?;
    let (status, stays_open) = (reply.status().as_u16(), stays_open(&reply));
    let body = read(reply, budget).await?;
    if stays_open {
        kept.put(address, connection);
    }
    Ok(PodOutcome::Replied { status, body: String::from_utf8_lossy(&body).into_owned() })
}

async fn read(reply: Response<Incoming>, budget: &Budget) -> Result<BytesMut, Failed> {
    let mut body: Incoming = reply.into_body();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > budget.of_one {
        return Err(told(too_large(format!("the pod's reply has more than {} bytes", budget.of_one))));
    }
    let mut content = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| other("bad-reply", format!("the pod's reply is cut off: {}", reason(&error))))?;
        if let Ok(data) = frame.into_data() {
            budget.spend(content.len(), data.len()).map_err(told)?;
            content.extend_from_slice(&data);
        }
    }
    Ok(content)
}

fn no_reply(error: &hyper::Error) -> Failed {
    if error.is_parse() {
        return other("bad-reply", format!("the pod's reply is not HTTP: {}", reason(error)));
    }
    Failed::ClosedEarly(match reason(error) {
        text if text.is_empty() || error.is_incomplete_message() || error.is_canceled() || error.is_closed() => {
            "the connection ended before the reply".to_owned()
        }
        text => text,
    })
}

/// The innermost cause: the connection's own words.
fn reason(error: &hyper::Error) -> String {
    match error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
        Some(cause) => crate::net::reason(cause),
        None => error.to_string(),
    }
}

fn other(code: &str, message: String) -> Failed {
    told(Problem::new(code, message))
}

fn told(problem: Problem) -> Failed {
    Failed::Told(PodOutcome::Other(problem))
}

fn too_large(message: String) -> Problem {
    Problem::new("too-large", message)
}
