//! Questions to the sub-process over the network: does it answer, and what?

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::hooks::HookError;
use crate::http_client::{Question, ask};

/// The body of a 2xx answer to `GET url`.
pub(crate) async fn ask_http(url: &str, limit: Duration) -> Result<Bytes, HookError> {
    let wrong = || HookError::new(format!("`{url}` does not read as `http://<host>[:<port>]/<path>`"));
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(wrong)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(80);
    let question = Question { method: Method::GET, host, port, path, headers: HeaderMap::new(), body: Bytes::new() };
    match ask(question, limit).await {
        Ok((status, body)) if status.is_success() => Ok(body),
        Ok((status, _)) => Err(HookError::new(format!("`{url}` answered {status}"))),
        Err(error) => Err(HookError::new(format!("`{url}`: {error}"))),
    }
}

/// Whether something listens at `host:port`.
pub(crate) async fn ask_tcp(address: &str, limit: Duration) -> Result<(), HookError> {
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(HookError::new(format!("`{address}`: {error}"))),
        Err(_) => Err(HookError::new(format!("`{address}`: no connection within {} s", limit.as_secs_f32()))),
    }
}
