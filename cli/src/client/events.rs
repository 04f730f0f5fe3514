//! A run as it happens: the lines of the answer to `POST /v1/runs`.

use bytes::{Buf as _, BytesMut};
use serde::Deserialize;

use super::error::{CallError, Text, broken};
use super::{Exchange, REPLY_LIMIT};

/// A host sends what a tool prints in blocks far below this.
const LINE_LIMIT_BYTES: usize = 32 << 20;

/// One event of a run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    /// The tool was found and starts.
    Started {
        /// A job calls it `job`.
        #[serde(alias = "job")]
        run: String,
    },
    /// Some of its standard output.
    Out { text: String },
    /// A line that the host adds to the log of a job.
    Note { text: String },
    /// Some of its standard error.
    Err { text: String },
    /// The last event.
    Ended(Ended),
    /// A kind of event that a later host may send.
    #[serde(other)]
    Unknown,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Ended {
    pub(crate) ok: bool,
    pub(crate) exit_code: i64,
    pub(crate) elapsed_ms: u64,
    /// Why the host ended it.
    #[serde(default)]
    pub(crate) note: Option<String>,
}

/// The events of a run under way. Dropping it ends the run.
pub(crate) struct Events {
    exchange: Exchange,
    buffered: BytesMut,
    /// So much of `buffered` has no line end: a long line is not looked through again with each of its blocks.
    searched: usize,
    /// At least one event came: this is a run, whatever happens to it.
    begun: bool,
    /// The answer ended as it should, wherever that was.
    over: bool,
}

impl Events {
    pub(super) fn of(exchange: Exchange) -> Self {
        Self { exchange, buffered: BytesMut::new(), searched: 0, begun: false, over: false }
    }

    /// Waits for the next event of a stream that has no last one: it just stops.
    pub(crate) async fn next_if_any(&mut self) -> Result<Option<Event>, CallError> {
        match self.next().await {
            Ok(event) => Ok(Some(event)),
            Err(_) if self.over && self.buffered.is_empty() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the next event. An answer that stops before [`Event::Ended`] is an error.
    pub(crate) async fn next(&mut self) -> Result<Event, CallError> {
        loop {
            if let Some(end) = self.buffered[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffered.split_to(self.searched + end);
                self.buffered.advance(1);
                self.searched = 0;
                let event = serde_json::from_slice(&line).map_err(|_| self.nonsense(&line))?;
                self.begun = true;
                return Ok(event);
            }
            self.searched = self.buffered.len();
            self.read_more().await?;
        }
    }

    /// Whose events these are, for messages.
    pub(crate) fn host(&self) -> &str {
        &self.exchange.host
    }

    async fn read_more(&mut self) -> Result<(), CallError> {
        let host = &self.exchange.host;
        let block = self.exchange.response.chunk().await.map_err(|error| broken(host, &error, REPLY_LIMIT))?;
        let Some(block) = block else {
            self.over = true;
            if !self.begun {
                return Err(self.nonsense(&self.buffered));
            }
            return Err(CallError::Broken { host: host.clone(), cause: "the answer stops in the middle".to_owned() });
        };
        if self.buffered.len() + block.len() > LINE_LIMIT_BYTES {
            return Err(CallError::TooLong { host: host.clone(), limit_bytes: LINE_LIMIT_BYTES });
        }
        self.buffered.extend_from_slice(&block);
        Ok(())
    }

    fn nonsense(&self, line: &[u8]) -> CallError {
        CallError::NotAPortal { host: self.exchange.host.clone(), text: Text::of(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read() {
        let read = |line: &str| serde_json::from_str::<Event>(line).ok();
        assert_eq!(
            read(r#"{"event":"started","run":"01J","tool":"ls","revision":1}"#),
            Some(Event::Started { run: "01J".into() })
        );
        assert_eq!(read(r#"{"event":"out","text":"x\n"}"#), Some(Event::Out { text: "x\n".into() }));
        assert_eq!(
            read(r#"{"event":"ended","ok":false,"exit_code":137,"elapsed_ms":5,"truncated":false,"note":"too long"}"#),
            Some(Event::Ended(Ended { ok: false, exit_code: 137, elapsed_ms: 5, note: Some("too long".into()) }))
        );
        assert_eq!(read(r#"{"event":"progress","share":0.5}"#), Some(Event::Unknown));
        for bad in ["", "{}", "[]", r#"{"event":"out"}"#, r#"{"event":"ended","ok":1}"#] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
