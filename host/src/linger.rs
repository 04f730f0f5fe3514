//! The end of a connection: what its caller still says is heard before it is closed.
//!
//! A caller whose request is refused early is in the middle of its body. Were the connection closed there, the system would reset it, and many
//! a caller would learn of a broken pipe instead of the reason.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A caller that has nothing more to say hangs up when it has heard the answer; one that says nothing for so long is left.
const QUIET: Duration = Duration::from_millis(250);

/// Nobody is listened to for longer than this, or a moment of silence more.
const LONGEST: Duration = Duration::from_secs(5);

/// Read at once, and thrown away.
const PIECE: usize = 16 << 10;

/// A stream whose shutdown hears its caller out.
#[derive(Debug)]
pub(crate) struct Lingering<S> {
    stream: S,
    quiet: Duration,
    longest: Duration,
    /// Once our side is closed.
    closing: Option<Closing>,
}

#[derive(Debug)]
struct Closing {
    end: Instant,
    quiet: Pin<Box<Sleep>>,
}

impl<S> Lingering<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, quiet: QUIET, longest: LONGEST, closing: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, quiet, longest, closing } = self.get_mut();
        if closing.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let now = Instant::now();
        let closing = closing.get_or_insert_with(|| Closing { end: now + *longest, quiet: Box::pin(sleep_until(now + *quiet)) });
        let mut piece = [0; PIECE];
        while Instant::now() < closing.end {
            let mut piece = ReadBuf::new(&mut piece);
            match Pin::new(&mut *stream).poll_read(context, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => closing.quiet.as_mut().reset(Instant::now() + *quiet),
                // It has hung up, one way or the other.
                Poll::Ready(_) => break,
                Poll::Pending => return closing.quiet.as_mut().poll(context).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const EVER: Duration = Duration::from_secs(3600);

    fn pair(quiet: Duration, longest: Duration) -> (Lingering<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(1 << 10);
        (Lingering { quiet, longest, ..Lingering::new(ours) }, theirs)
    }

    #[tokio::test]
    async fn who_is_refused_in_the_middle_of_a_body_hears_why() {
        let (mut ours, mut theirs) = pair(EVER, EVER);
        let caller = tokio::spawn(async move {
            theirs.write_all(&[0xA5; 1_000_000]).await.unwrap();
            let mut heard = String::new();
            theirs.read_to_string(&mut heard).await.unwrap();
            heard
        });
        assert_eq!(ours.read(&mut [0; 10]).await.unwrap(), 10);
        ours.write_all(b"no").await.unwrap();
        ours.shutdown().await.unwrap();
        drop(ours);
        assert_eq!(caller.await.unwrap(), "no");
    }

    #[tokio::test]
    async fn nobody_holds_a_connection_by_silence() {
        let (mut ours, _theirs) = pair(Duration::from_millis(10), EVER);
        tokio::time::timeout(EVER / 10, ours.shutdown()).await.expect("it does not wait for more").unwrap();
    }

    #[tokio::test]
    async fn nobody_holds_a_connection_by_talking() {
        let (mut ours, mut theirs) = pair(EVER, Duration::from_millis(50));
        let caller = tokio::spawn(async move { while theirs.write_all(&[0; 100]).await.is_ok() {} });
        tokio::time::timeout(EVER / 10, ours.shutdown()).await.expect("it does not listen for ever").unwrap();
        drop(ours);
        caller.await.unwrap();
    }
}
