//! What a native program can do: the same handler in plain axum, without a tool behind it.

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use axum::{Json, Router};
use http::HeaderMap;
use ocho_core::signature::Token;
use ocho_tests::runtime::block_on;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Serves until it is killed; says where on standard output.
pub(crate) fn serve() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        println!("ready portal={}", listener.local_addr().expect("a bound socket has an address"));
        let router =
            Router::new().route("/shell", post(shell)).route("/run/{jobs}", post(run)).layer(DefaultBodyLimit::disable());
        axum::serve(listener, router).await.expect("it serves until it is killed");
    });
}

async fn shell(headers: HeaderMap) -> Json<Value> {
    let started = Instant::now();
    let line = headers.get("x-shell").and_then(|line| line.to_str().ok());
    let (ok, out) = match line {
        Some("hello") => (true, "hello"),
        Some(_) => (false, "unknown command"),
        None => (false, "failure -> X-Shell header missing"),
    };
    Json(json!({"ok": ok, "ms": started.elapsed().as_secs_f64() * 1000.0, "out": out}))
}

/// Reads a bundle and MACs it, and that is all.
async fn run(body: Bytes) -> String {
    let token = Token::new("native").expect("it is not empty");
    format!("hello {}", token.sign(&body))
}
