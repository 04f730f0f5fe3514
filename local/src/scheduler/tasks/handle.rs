//! The scheduler's end of a shim: a child of ours, or one that was adopted.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout};
use tokio::time::sleep;

use super::spec::TaskDir;

/// How often an adopted shim is looked at: it is not our child, so nobody tells us when it ends.
const LOOK: Duration = Duration::from_millis(200);

/// The shim of a task.
pub(crate) enum Shim {
    /// We started it.
    Own { child: Box<Child>, news: BufReader<ChildStdout> },
    /// A scheduler that is gone started it.
    Adopted { pid: i32 },
}

impl Shim {
    pub(crate) fn own(child: Child, news: ChildStdout) -> Self {
        Self::Own { child: Box::new(child), news: BufReader::new(news) }
    }

    /// A shim takes the lock of its folder a moment before it says who it is.
    pub(crate) async fn adopt(dir: &TaskDir) -> Self {
        loop {
            let pid = dir.read_state().map_or(0, |state| state.shim);
            if pid > 0 || !dir.is_held() {
                return Self::Adopted { pid };
            }
            sleep(LOOK).await;
        }
    }

    /// 0 when it is not known.
    pub(crate) fn pid(&self) -> i32 {
        match self {
            Self::Own { child, .. } => child.id().map_or(0, u32::cast_signed),
            Self::Adopted { pid } => *pid,
        }
    }

    /// Waits until the task runs, or until it never will.
    pub(crate) async fn has_started(&mut self, dir: &TaskDir) -> bool {
        match self {
            Self::Own { news, .. } => news.read_line(&mut String::new()).await.is_ok_and(|bytes| bytes > 0),
            Self::Adopted { .. } => loop {
                if dir.read_state().is_ok_and(|state| state.started_at.is_some()) {
                    return true;
                }
                if !dir.is_held() {
                    return false;
                }
                sleep(LOOK).await;
            },
        }
    }

    /// Waits until the shim is gone.
    pub(crate) async fn is_gone(&mut self, dir: &TaskDir) {
        match self {
            Self::Own { child, .. } => {
                if let Err(error) = child.wait().await {
                    tracing::error!(%error, "cannot wait for a shim");
                }
            }
            Self::Adopted { .. } => {
                while dir.is_held() {
                    sleep(LOOK).await;
                }
            }
        }
    }
}
