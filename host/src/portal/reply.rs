//! The one line that every `POST /shell` is answered with. A long one is made piece by piece, as its reader takes it: a worker
//! that made it in one go would hold up its neighbours, and the line can be six times as long as what was printed.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt as _, stream};
use ocho_core::json;
use serde::Serialize;

/// What is made in one go: some tens of microseconds.
const PIECE_BYTES: usize = 64 * 1024;

/// What stands behind the text.
const TAIL: &str = "\"}\n";

#[derive(Debug, Serialize)]
pub(super) struct Reply {
    pub(super) ok: bool,
    pub(super) ms: f64,
    /// The last member, since the pieces of a long one end the line.
    pub(super) out: String,
}

impl Reply {
    pub(super) fn into_body(self) -> Body {
        if self.out.len() <= PIECE_BYTES {
            return Body::from(json::to_line(&self) + "\n");
        }
        let Self { ok, ms, out } = self;
        let empty = json::to_line(&Self { ok, ms, out: String::new() }) + "\n";
        let head = empty.strip_suffix(TAIL).expect("the text stands last").to_owned();
        let ends = |text: &'static str| Bytes::from_static(text.as_bytes());
        let pieces = stream::iter([Bytes::from(head)]).chain(escaped(out)).chain(stream::iter([ends(TAIL)]));
        Body::from_stream(pieces.map(Ok::<_, Infallible>))
    }
}

/// A text as it stands between the quotes. After each piece the neighbours have their turn.
fn escaped(text: String) -> impl Stream<Item = Bytes> + Send {
    stream::unfold((text, 0), |(text, at)| async move {
        if at == text.len() {
            return None;
        }
        tokio::task::yield_now().await;
        let end = text.floor_char_boundary(at + PIECE_BYTES);
        let quoted = Bytes::from(json::to_line(&text[at..end]));
        Some((quoted.slice(1..quoted.len() - 1), (text, end)))
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn check(out: String) {
        let (ok, ms) = (true, 1.5);
        let expected = json::to_line(&Reply { ok, ms, out: out.clone() }) + "\n";
        let body = Reply { ok, ms, out }.into_body().collect().await.unwrap().to_bytes();
        assert!(body == expected, "{} bytes differ from {}", body.len(), expected.len());
    }

    #[tokio::test]
    async fn a_long_line_is_the_same_line() {
        check(String::new()).await;
        for unit in ["a", "é", "😀", "\"\\\n\u{1}\u{7f}", "a€😀\"}\n"] {
            for bytes in [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 5 * PIECE_BYTES + 7] {
                check(format!("x{}", unit.repeat(bytes / unit.len()))).await;
            }
        }
    }
}
