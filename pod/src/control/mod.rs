//! The control API: plain HTTP, `POST` only, every answer a line of JSON.

mod answers;
mod body;
mod exec;
mod routes;
mod server;
pub(crate) mod task;

use std::sync::Arc;

use crate::face::Face;
use crate::lifecycle::Orders;
use crate::log::Log;
use crate::signing::Guard;
use crate::tools::Tools;

pub(crate) use body::Room;
pub(crate) use routes::router;
pub(crate) use server::{Limits, serve};
pub(crate) use task::Task;

/// What the API acts on.
#[derive(Clone)]
pub(crate) struct Control {
    /// What `/info` shows.
    pub(crate) face: Arc<Face>,
    /// The registration, without its number.
    pub(crate) registration: Arc<serde_json::Map<String, serde_json::Value>>,
    /// What `/log` shows.
    pub(crate) log: Log,
    /// Where `/control` goes.
    pub(crate) orders: Orders,
    /// Where `/reset` goes.
    pub(crate) resets: tokio::sync::mpsc::Sender<()>,
    /// What `/exec` can run.
    pub(crate) tools: Arc<Tools>,
    /// Who may come in.
    pub(crate) guard: Arc<Guard>,
    /// Room for the bodies of requests.
    pub(crate) room: Room,
    /// Whether `/info` shows metrics that look like secrets to callers who did not sign.
    pub(crate) publish_secrets: bool,
}
