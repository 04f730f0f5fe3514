//! Orders for the pod: a queue with a bound, and an answer for each.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::control::task::Task;

/// Orders that may wait. A leader sends one at a time, so this is room for many impatient people.
const QUEUE: usize = 64;

/// An HTTP status code and a JSON body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// One of 200, 400, 406, 408, 410, 500 and 503.
    pub(crate) code: u16,
    /// `{}` but for what `signal` returns.
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) const DONE: u16 = 200;
    pub(crate) const MALFORMED: u16 = 400;
    pub(crate) const REFUSED: u16 = 406;
    pub(crate) const LATE: u16 = 408;
    pub(crate) const DEAD: u16 = 410;
    pub(crate) const FAILED: u16 = 500;
    pub(crate) const BUSY: u16 = 503;

    /// A code with an empty object.
    #[must_use]
    pub(crate) fn code(code: u16) -> Self {
        Self { code, body: Value::Object(Map::new()) }
    }
}

/// One order.
pub(crate) struct Order {
    pub(crate) task: Task,
    pub(crate) body: Value,
    /// After this the caller is gone, and an order that has not begun is dropped.
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// Gives orders to a pod. Clones give them to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Orders(mpsc::Sender<Order>);

impl Orders {
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Order>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Gives an order and waits for the answer: 408 after `wait`, 410 if the pod is dead, 503 if too many wait already.
    pub(crate) async fn give(&self, task: Task, body: Value, wait: Duration) -> Reply {
        let deadline = Instant::now() + wait;
        if wait.is_zero() {
            return Reply::code(Reply::LATE);
        }
        let (reply, answer) = oneshot::channel();
        match self.0.try_send(Order { task, body, deadline, reply }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Reply::code(Reply::BUSY),
            Err(mpsc::error::TrySendError::Closed(_)) => return Reply::code(Reply::DEAD),
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(reply)) => reply,
            // The pod died with the order in its queue.
            Ok(Err(_)) => Reply::code(Reply::DEAD),
            Err(_) => Reply::code(Reply::LATE),
        }
    }
}
