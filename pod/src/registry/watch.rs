//! Eyes on nodes: streams that yield what a node holds, or which children it has, now and after each change.
//!
//! Changes that follow each other quickly may be seen as one. A stream ends with the session.

use futures::Stream;
use futures::stream;
use zookeeper_client::{Client, Error, OneshotWatcher};

use crate::registry::session::steady;

/// Content of a node; `None` while it does not exist.
pub(crate) fn content(client: Client, path: String) -> impl Stream<Item = Option<Vec<u8>>> + Send {
    stream::unfold(Eye { client, path, watcher: None }, |mut eye| async {
        eye.wait().await;
        let content = eye.look_at_content().await.ok()?;
        Some((content, eye))
    })
}

/// Names of a node's children, unsorted; none while it does not exist.
pub(crate) fn children(client: Client, path: String) -> impl Stream<Item = Vec<String>> + Send {
    stream::unfold(Eye { client, path, watcher: None }, |mut eye| async {
        eye.wait().await;
        let children = eye.look_at_children().await.ok()?;
        Some((children, eye))
    })
}

struct Eye {
    client: Client,
    path: String,
    watcher: Option<OneshotWatcher>,
}

impl Eye {
    async fn wait(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.changed().await;
        }
    }

    async fn look_at_content(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            match steady(&self.client, || self.client.get_and_watch_data(&self.path)).await {
                Ok((content, _, watcher)) => {
                    self.watcher = Some(watcher);
                    return Ok(Some(content));
                }
                Err(Error::NoNode) if self.watch_for_creation().await? => return Ok(None),
                Err(Error::NoNode) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn look_at_children(&mut self) -> Result<Vec<String>, Error> {
        loop {
            match steady(&self.client, || self.client.list_and_watch_children(&self.path)).await {
                Ok((children, watcher)) => {
                    self.watcher = Some(watcher);
                    return Ok(children);
                }
                Err(Error::NoNode) if self.watch_for_creation().await? => return Ok(Vec::new()),
                Err(Error::NoNode) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// False if the node has appeared in the meantime.
    async fn watch_for_creation(&mut self) -> Result<bool, Error> {
        let (stat, watcher) = steady(&self.client, || self.client.check_and_watch_stat(&self.path)).await?;
        self.watcher = stat.is_none().then_some(watcher);
        Ok(stat.is_none())
    }
}
