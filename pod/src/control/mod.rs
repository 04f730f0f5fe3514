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
pub use routes::router;
pub use server::{Limits, serve};
pub use task::Task;

/// What the API acts on.
#[derive(Clone)]
pub struct Control {
    /// What `/info` shows.
    pub face: Arc<Face>,
    /// The registration, without its number.
    pub registration: Arc<serde_json::Map<String, serde_json::Value>>,
    /// What `/log` shows.
    pub log: Log,
    /// Where `/control` goes.
    pub orders: Orders,
    /// Where `/reset` goes.
    pub resets: tokio::sync::mpsc::Sender<()>,
    /// What `/exec` can run.
    pub tools: Arc<Tools>,
    /// Who may come in.
    pub guard: Arc<Guard>,
    /// Room for the bodies of requests.
    pub(crate) room: Room,
    /// Whether `/info` shows metrics that look like secrets to callers who did not sign.
    pub publish_secrets: bool,
}
