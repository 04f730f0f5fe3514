//! What a run prints: kept in order, merged into chunks, bounded.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Where a guest printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Standard output: results.
    Out,
    /// Standard error: hints and reasons.
    Err,
}

/// Bytes that a guest printed on one channel, one after the other. A character may be cut at its borders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where.
    pub channel: Channel,
    /// What.
    pub bytes: Vec<u8>,
}

/// The output of one run. The guest writes at one end; any number of readers follow it, from the start, at their own pace.
#[derive(Debug, Clone)]
pub struct Output(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    chunks: Vec<Chunk>,
    charged: usize,
    over: bool,
    closed: bool,
}

/// A guest that prints one byte here, one byte there makes a chunk of each: what a chunk costs us is charged to it.
const CHUNK_COST: usize = 64;

/// How much a reader gets at once: one that comes late finds much, and what it does with it must not hold up others.
const READ_BYTES: usize = 64 * 1024;

/// How much a guest may hand over in one call.
const WRITE_BYTES: usize = 64 * 1024;

impl Output {
    /// A new output that takes `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared { limit, state: Mutex::default(), news: Notify::new() }))
    }

    /// A reader that begins at the start.
    #[must_use]
    pub fn reader(&self) -> OutputReader {
        OutputReader { output: self.clone(), chunk: 0, byte: 0 }
    }

    /// All that was printed on one channel until now.
    #[must_use]
    pub fn bytes(&self, channel: Channel) -> Vec<u8> {
        self.head(channel, usize::MAX)
    }

    /// The first `limit` bytes of it.
    #[must_use]
    pub fn head(&self, channel: Channel, limit: usize) -> Vec<u8> {
        let state = self.lock();
        let mut bytes = Vec::new();
        for chunk in state.chunks.iter().filter(|chunk| chunk.channel == channel) {
            let left = limit - bytes.len();
            bytes.extend_from_slice(&chunk.bytes[..chunk.bytes.len().min(left)]);
        }
        bytes
    }

    /// How much was printed until now, on both channels.
    #[must_use]
    pub fn printed_bytes(&self) -> usize {
        self.lock().chunks.iter().map(|chunk| chunk.bytes.len()).sum()
    }

    /// Takes all that was printed until now, and gives the whole room back. Readers are meant to follow an output that is not emptied.
    pub(crate) fn take(&self) -> Vec<Chunk> {
        std::mem::take(&mut *self.lock()).chunks
    }

    /// Says that nothing more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.0.news.notify_waiters();
    }

    /// Whether the guest printed more than it may; the rest is lost.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lock().over
    }

    fn write(&self, channel: Channel, bytes: &[u8]) -> Result<(), OverOutput> {
        let mut state = self.lock();
        if state.over {
            return Err(OverOutput);
        }
        let new_chunk = state.chunks.last().is_none_or(|last| last.channel != channel);
        let cost = bytes.len() + if new_chunk { CHUNK_COST } else { 0 };
        let left = self.0.limit.saturating_sub(state.charged);
        let kept = &bytes[..bytes.len().min(left)];
        state.charged += cost;
        state.over = cost > left;
        match state.chunks.last_mut() {
            Some(chunk) if !new_chunk => chunk.bytes.extend_from_slice(kept),
            _ => state.chunks.push(Chunk { channel, bytes: kept.to_vec() }),
        }
        let over = state.over;
        drop(state);
        self.0.news.notify_waiters();
        if over { Err(OverOutput) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pipe(&self, channel: Channel) -> Pipe {
        Pipe { output: self.clone(), channel }
    }
}

/// Follows an output.
#[derive(Debug)]
pub struct OutputReader {
    output: Output,
    chunk: usize,
    byte: usize,
}

impl OutputReader {
    /// Gives what was printed since the last call, or the next piece of it; waits for something; nothing once the run has ended and
    /// all is read.
    pub async fn next(&mut self) -> Option<Vec<Chunk>> {
        let output = self.output.clone();
        loop {
            let mut news = std::pin::pin!(output.0.news.notified());
            // From here on a notification is not missed, also before the first poll.
            news.as_mut().enable();
            if let Some(more) = self.read() {
                return more;
            }
            news.await;
        }
    }

    /// What is new; `Some(None)` at the end, nothing where one has to wait.
    fn read(&mut self) -> Option<Option<Vec<Chunk>>> {
        let state = self.output.lock();
        let (mut fresh, mut room) = (Vec::new(), READ_BYTES);
        while let Some(chunk) = state.chunks.get(self.chunk).filter(|_| room > 0) {
            let unread = &chunk.bytes[self.byte..];
            let taken = &unread[..unread.len().min(room)];
            if !taken.is_empty() {
                fresh.push(Chunk { channel: chunk.channel, bytes: taken.to_vec() });
            }
            room -= taken.len();
            self.byte += taken.len();
            // The last one may still grow.
            if self.byte < chunk.bytes.len() || self.chunk + 1 == state.chunks.len() {
                break;
            }
            (self.chunk, self.byte) = (self.chunk + 1, 0);
        }
        if !fresh.is_empty() {
            return Some(Some(fresh));
        }
        state.closed.then_some(None)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the output limit is reached")]
struct OverOutput;

/// The guest's end of one channel.
#[derive(Clone)]
pub(crate) struct Pipe {
    output: Output,
    channel: Channel,
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output.write(self.channel, &bytes).map_err(|over| StreamError::Trap(wasmtime::Error::new(over)))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(match self.output.write(self.channel, bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(over) => Err(io::Error::other(over)),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(channel: Channel, text: &str) -> Chunk {
        Chunk { channel, bytes: text.as_bytes().to_vec() }
    }

    #[tokio::test]
    async fn every_reader_gets_all_of_it_in_order() {
        let output = Output::new(1000);
        output.write(Channel::Out, b"a").unwrap();
        let mut early = output.reader();
        assert_eq!(early.next().await.unwrap(), [chunk(Channel::Out, "a")]);
        output.write(Channel::Out, b"b").unwrap();
        output.write(Channel::Err, b"c").unwrap();
        assert_eq!(early.next().await.unwrap(), [chunk(Channel::Out, "b"), chunk(Channel::Err, "c")]);
        output.write(Channel::Out, b"d").unwrap();
        assert_eq!(early.next().await.unwrap(), [chunk(Channel::Out, "d")]);
        output.write(Channel::Out, b"e").unwrap();
        output.close();
        assert_eq!(early.next().await.unwrap(), [chunk(Channel::Out, "e")]);
        assert_eq!(early.next().await, None);
        let mut late = output.reader();
        assert_eq!(late.next().await.unwrap(), [chunk(Channel::Out, "ab"), chunk(Channel::Err, "c"), chunk(Channel::Out, "de")]);
        assert_eq!(late.next().await, None);
        assert_eq!((output.bytes(Channel::Out), output.bytes(Channel::Err)), (b"abde".to_vec(), b"c".to_vec()));
        assert_eq!((output.head(Channel::Out, 3), output.head(Channel::Out, 0)), (b"abd".to_vec(), Vec::new()));
        assert_eq!(output.printed_bytes(), 5);
    }

    #[tokio::test]
    async fn a_late_reader_gets_pieces() {
        let output = Output::new(1 << 20);
        output.write(Channel::Out, &[b'a'; READ_BYTES + 1]).unwrap();
        output.write(Channel::Err, &[b'b'; READ_BYTES]).unwrap();
        output.write(Channel::Out, b"c").unwrap();
        output.close();
        let (mut reader, mut read) = (output.reader(), Vec::new());
        while let Some(chunks) = reader.next().await {
            read.push(chunks.into_iter().map(|chunk| (chunk.channel, chunk.bytes.len())).collect::<Vec<_>>());
        }
        let (out, err) = (Channel::Out, Channel::Err);
        assert_eq!(read, [vec![(out, READ_BYTES)], vec![(out, 1), (err, READ_BYTES - 1)], vec![(err, 1), (out, 1)]]);
    }

    #[test]
    fn what_is_too_much_is_cut() {
        let output = Output::new(CHUNK_COST + 3);
        assert!(output.write(Channel::Out, b"ab").is_ok());
        assert!(output.write(Channel::Out, b"cd").is_err());
        assert!(output.write(Channel::Out, b"e").is_err());
        assert!(output.is_over());
        assert_eq!(output.bytes(Channel::Out), b"abc");
    }

    #[test]
    fn changing_sides_costs() {
        let output = Output::new(1000);
        let side = |n| if n % 2 == 0 { Channel::Out } else { Channel::Err };
        let taken = (0..).take_while(|n| output.write(side(*n), b"x").is_ok()).count();
        assert_eq!(taken, 1000 / (CHUNK_COST + 1));
    }

    #[tokio::test]
    async fn a_reader_is_woken() {
        let output = Output::new(1000);
        let mut reader = output.reader();
        let reading = tokio::spawn(async move { reader.next().await });
        tokio::task::yield_now().await;
        output.write(Channel::Err, b"x").unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), [chunk(Channel::Err, "x")]);
    }
}
