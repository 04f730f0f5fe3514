//! One connection: frames in, frames out.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::outbox::Outbox;
use super::state::{Next, Now, State};
use super::watches::ConnId;
use super::words::Word;

/// The state, shared by all connections.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in one request is a bug in that request; the others are served on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replies that may wait before further requests are left unread: a client that asks faster than it reads waits.
const BACKLOG_BYTES: usize = 1 << 20;

/// What a read takes at once. Most requests are far smaller.
const READ_BYTES: usize = 4 << 10;

/// A longer buffer is given back once it is empty: thousands of clients that sent one large node each would add up.
const KEPT_BYTES: usize = 64 << 10;

/// A request for a session has 45 bytes. Who has none gets no memory for more.
const HELLO_BYTES: usize = 1 << 10;

/// Time for a client to hang up after we did.
const LINGER: Duration = Duration::from_secs(1);

/// Serves a connection until one of the two sides ends it.
pub(super) async fn serve(stream: TcpStream, address: SocketAddr, shared: Shared, stop: CancellationToken) {
    let outbox = Arc::new(Outbox::new(shared.lock().limits.outbox_bytes, stop));
    let Some(conn) = shared.lock().join(address, outbox.clone()) else {
        warn!(%address, "the registry has as many connections as it may, one more is closed");
        return;
    };
    let _membership = Membership { conn, shared: shared.clone() };
    // Small replies should not wait for more of them.
    _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    let mut connection = Connection { conn, shared, outbox, reader, writer, unread: BytesMut::new(), frame_bytes: HELLO_BYTES };
    if let Err(error) = connection.run().await {
        debug!(conn = conn.0, %address, %error, "connection ended");
    }
}

/// Takes the connection out of the state, however its task ends.
struct Membership {
    conn: ConnId,
    shared: Shared,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.shared.lock().leave(self.conn);
    }
}

struct Connection {
    conn: ConnId,
    shared: Shared,
    outbox: Arc<Outbox>,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    unread: BytesMut,
    frame_bytes: usize,
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        let handshake = self.shared.lock().limits.handshake;
        match timeout(handshake, self.begin()).await {
            Err(_elapsed) => Err(invalid("no request for a session came")),
            Ok(Ok(Next::Continue)) => {
                self.frame_bytes = self.shared.lock().limits.frame_bytes;
                self.converse().await
            }
            Ok(Ok(Next::Close)) => self.hang_up().await,
            Ok(Err(error)) => Err(error),
        }
    }

    /// Up to the session, or the answer to a four-letter word.
    async fn begin(&mut self) -> io::Result<Next> {
        while self.unread.len() < 4 {
            self.read().await?;
        }
        let head = [self.unread[0], self.unread[1], self.unread[2], self.unread[3]];
        if let Some(word) = Word::read(head) {
            let answer = word.answer(&self.shared.lock());
            self.writer.write_all(answer.as_bytes()).await?;
            return Ok(Next::Close);
        }
        let frame = loop {
            if let Some(frame) = self.next_frame()? {
                break frame;
            }
            self.read().await?;
        };
        let next = self.handle(&frame);
        self.flush().await?;
        Ok(next)
    }

    async fn converse(&mut self) -> io::Result<()> {
        loop {
            let next = self.handle_unread()?;
            if self.outbox.len() > 0 {
                self.flush().await?;
                if next == Next::Continue {
                    continue;
                }
            }
            if next == Next::Close {
                return self.hang_up().await;
            }
            let outbox = self.outbox.clone();
            tokio::select! {
                read = self.read() => read?,
                () = outbox.filled() => {}
                () = outbox.killed() => return Ok(()),
            }
        }
    }

    /// Ends the connection so that the client still reads the last answer: closing at once would throw it away where
    /// something that the client sent is unread.
    async fn hang_up(&mut self) -> io::Result<()> {
        self.writer.shutdown().await?;
        let ended = async {
            while self.reader.read(&mut [0; READ_BYTES]).await? > 0 {}
            Ok(())
        };
        timeout(LINGER, ended).await.unwrap_or(Ok(()))
    }

    /// Answers what came, as far as the client reads the answers.
    fn handle_unread(&mut self) -> io::Result<Next> {
        while self.outbox.len() < BACKLOG_BYTES {
            let Some(frame) = self.next_frame()? else { break };
            if self.handle(&frame) == Next::Close {
                return Ok(Next::Close);
            }
        }
        Ok(Next::Continue)
    }

    fn handle(&mut self, frame: &[u8]) -> Next {
        let begun = Instant::now();
        let mut state = self.shared.lock();
        let next = state.frame(Now::read(), self.conn, frame);
        state.stats.took(begun.elapsed());
        next
    }

    /// The next frame, if it is there completely.
    fn next_frame(&mut self) -> io::Result<Option<BytesMut>> {
        let Some(head) = self.unread.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes(*head)).map_err(|_| invalid("a frame has a negative length"))?;
        if length > self.frame_bytes {
            return Err(invalid("a frame is too long"));
        }
        if self.unread.len() < 4 + length {
            return Ok(None);
        }
        self.unread.advance(4);
        Ok(Some(self.unread.split_to(length)))
    }

    /// Reads some bytes; it may be dropped midway without losing any.
    async fn read(&mut self) -> io::Result<()> {
        if self.unread.is_empty() && self.unread.capacity() > KEPT_BYTES {
            self.unread = BytesMut::new();
        }
        self.unread.reserve(READ_BYTES);
        match self.reader.read_buf(&mut self.unread).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Sends what waits, unless the connection is to end meanwhile.
    async fn flush(&mut self) -> io::Result<()> {
        let waiting = self.outbox.take();
        tokio::select! {
            sent = self.writer.write_all(&waiting) => sent,
            () = self.outbox.killed() => Err(invalid("the session is over, or events wait for too long")),
        }
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
