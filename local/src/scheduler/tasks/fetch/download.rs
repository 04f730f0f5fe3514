//! One file, from this machine or from another one.

use std::error::Error;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::Cause;
use super::budget::{Budget, Metered};

/// How long a server may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// Copies a file of this machine.
pub(super) async fn copy(from: PathBuf, to: PathBuf, budget: Arc<Budget>) -> Result<(), Cause> {
    let copying = move || {
        // Asked before it is opened: opening a pipe lasts until somebody writes.
        if !std::fs::metadata(&from)?.is_file() {
            return Err(Cause::NoFile);
        }
        let file = File::open(&from)?;
        io::copy(&mut Metered { inner: file, budget: &budget }, &mut File::create_new(&to)?)?;
        Ok(())
    };
    tokio::task::spawn_blocking(copying).await.map_err(|panic| Cause::Http(panic.to_string()))?
}

/// Downloads a file. Redirects are followed, as far as they lead to HTTP again.
pub(super) async fn get(url: &reqwest::Url, to: &Path, budget: &Budget) -> Result<(), Cause> {
    // The library leaves the choice of cryptography to the program. An error says that the program has chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(SILENCE)
        .no_proxy()
        .user_agent("ocho-fetch")
        .build()
        .map_err(chain)?;
    let mut response = client.get(url.clone()).send().await.map_err(chain)?;
    if !response.status().is_success() {
        return Err(Cause::Status(response.status().as_u16()));
    }
    let mut file = tokio::fs::File::create_new(to).await?;
    while let Some(chunk) = response.chunk().await.map_err(chain)? {
        budget.spend(chunk.len())?;
        file.write_all(&chunk).await?;
    }
    Ok(file.flush().await?)
}

/// What went wrong down to the reason. The address stands in front of it anyway, and may have a password in it.
fn chain(error: reqwest::Error) -> Cause {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Cause::Http(text)
}
