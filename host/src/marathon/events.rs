//! Marathon's event stream.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream};
use ocho_runtime::host::{MarathonError, MarathonEvent, MarathonResult};
use reqwest::Response;
use serde::Deserialize;
use tokio::time::timeout;

use super::call::{Call, Caller};
use super::sse::{Parser, SentEvent};

/// Bounds of an event stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamLimits {
    /// Marathon sends an empty line every ten seconds or so: a stream that is silent for so long is dead.
    pub(super) silence: Duration,
    /// Bytes of one event.
    pub(super) event_bytes: usize,
}

/// Opens the stream when it is first asked; gives events of these kinds (all, where empty) until an error ends it.
pub(super) fn follow(
    caller: Arc<Caller>,
    kinds: Vec<String>,
    limits: StreamLimits,
) -> impl Stream<Item = MarathonResult<MarathonEvent>> + Send {
    stream::unfold(Some(State::New(caller, kinds)), move |state| async move {
        let opened = match state? {
            State::New(caller, kinds) => Following::open(&caller, kinds, limits).await.map(Box::new),
            State::Open(following) => Ok(following),
        };
        let next = match opened {
            Ok(mut following) => following.next().await.map(|event| (event, following)),
            Err(error) => Err(error),
        };
        Some(match next {
            Ok((event, following)) => (Ok(event), Some(State::Open(following))),
            Err(error) => (Err(error), None),
        })
    })
}

enum State {
    New(Arc<Caller>, Vec<String>),
    Open(Box<Following>),
}

struct Following {
    response: Response,
    master: String,
    kinds: Vec<String>,
    silence: Duration,
    parser: Parser,
    ready: VecDeque<SentEvent>,
}

impl Following {
    async fn open(caller: &Caller, kinds: Vec<String>, limits: StreamLimits) -> MarathonResult<Self> {
        let query = kinds.iter().map(|kind| ("event_type".to_owned(), kind.clone())).collect();
        let call = Call { query, accept: "text/event-stream", ..Call::get("/v2/events") };
        let (response, master) = caller.stream(&call).await?;
        let (parser, ready) = (Parser::new(limits.event_bytes), VecDeque::new());
        Ok(Self { response, master, kinds, silence: limits.silence, parser, ready })
    }

    async fn next(&mut self) -> MarathonResult<MarathonEvent> {
        loop {
            // Versions that do not know the parameter send every kind.
            while let Some(sent) = self.ready.pop_front() {
                let event = named(sent);
                if self.kinds.is_empty() || self.kinds.contains(&event.kind) {
                    return Ok(event);
                }
            }
            let chunk = timeout(self.silence, self.response.chunk()).await.map_err(|_| MarathonError::TimedOut(self.silence))?;
            match chunk {
                Ok(Some(bytes)) => self.parser.read(&bytes, &mut self.ready),
                Ok(None) | Err(_) => {
                    return Err(MarathonError::Unreachable(format!("{}: the event stream ended", self.master)));
                }
            }
        }
    }
}

/// An event without a name in the stream has one in its data.
fn named(SentEvent { name, data }: SentEvent) -> MarathonEvent {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "eventType")]
        event_type: String,
    }
    let kind = if name.is_empty() { serde_json::from_str(&data).map_or(name, |named: Named| named.event_type) } else { name };
    MarathonEvent { kind, data }
}
