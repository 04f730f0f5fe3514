//! HTTP requests of a job: to pods of the cluster, and to the hosts that the operator allowed.

use std::time::Duration;

use super::JobError;

/// A request. Redirects are answers like any other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// `http://host:port/path?query`, or `https://`.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// How long the answer may take, 30 s if nothing else is said.
    pub timeout: Duration,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A `GET` without anything.
    pub fn get(url: &str) -> Self {
        let (method, timeout) = ("GET".to_owned(), Duration::from_secs(30));
        Self { method, url: url.to_owned(), headers: Vec::new(), body: Vec::new(), timeout }
    }

    /// A `POST` of a body.
    pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { method: "POST".to_owned(), body: body.into(), ..Self::get(url) }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends it.
    ///
    /// # Errors
    /// Where no answer came. An answer with an error status is an answer.
    pub async fn send(self) -> Result<Response, JobError> {
        let (url, timeout) = (self.url.clone(), self.timeout);
        let failed = |why: String| JobError::Http { url, why };
        let answer = std::pin::pin!(exchange(self));
        let over = std::pin::pin!(crate::clock::pause(timeout));
        match futures::future::select(answer, over).await {
            futures::future::Either::Left((answer, _)) => answer.map_err(failed),
            futures::future::Either::Right(_) => Err(failed(format!("no answer within {} s", timeout.as_secs_f64()))),
        }
    }
}

impl Response {
    /// Whether the status is one of success.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Gets a URL: `http("http://10.0.0.5:31001/ping")`.
///
/// # Errors
/// Where no answer came.
pub async fn http(url: &str) -> Result<Response, JobError> {
    Request::get(url).send().await
}

/// Whether it is `https`, authority and path of a URL.
#[cfg(any(target_family = "wasm", test))]
fn parts(url: &str) -> Result<(bool, &str, &str), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    if !["http", "https"].contains(&scheme) {
        return Err("the URL must begin with http:// or https://".to_owned());
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split('#').next().unwrap_or_default();
    if authority.is_empty() { Err("the URL names no host".to_owned()) } else { Ok((scheme == "https", authority, path)) }
}

#[cfg(target_family = "wasm")]
async fn exchange(request: Request) -> Result<Response, String> {
    use wasip3::http::client;
    use wasip3::http::types::{Fields, Method, Request as Wire, Response as Reply, Scheme};
    use wasip3::{wit_future, wit_stream};

    let (is_https, authority, path) = parts(&request.url)?;
    let scheme = if is_https { Scheme::Https } else { Scheme::Http };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let mut headers: Vec<(String, Vec<u8>)> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    if !request.body.is_empty() {
        headers.push(("content-length".to_owned(), request.body.len().to_string().into_bytes()));
    }
    let fields = Fields::from_list(&headers).map_err(|error| format!("a header is not valid: {error:?}"))?;
    let (writer, contents) = match request.body.is_empty() {
        true => (None, None),
        false => {
            let (writer, reader) = wit_stream::new();
            (Some(writer), Some(reader))
        }
    };
    let (trailers, trailers_later) = wit_future::new(|| Ok(None));
    drop(trailers);
    let (wire, _sent) = Wire::new(fields, contents, trailers_later, None);
    let method = match request.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "HEAD" => Method::Head,
        other => Method::Other(other.to_owned()),
    };
    let set = wire.set_method(&method).and_then(|()| wire.set_scheme(Some(&scheme)));
    let set = set.and_then(|()| wire.set_authority(Some(authority))).and_then(|()| wire.set_path_with_query(Some(&path)));
    set.map_err(|()| "the URL or the method is not valid".to_owned())?;
    let body = request.body;
    let send_body = async {
        if let Some(mut writer) = writer {
            // What is left over was not wanted: the answer says more.
            let _ = writer.write_all(body).await;
        }
    };
    let (reply, ()) = futures::join!(client::send(wire), send_body);
    let reply = reply.map_err(|error| format!("{error:?}"))?;
    let status = reply.get_status_code();
    let (done, done_later) = wit_future::new(|| Ok(()));
    drop(done);
    let (stream, _trailers) = Reply::consume_body(reply, done_later);
    Ok(Response { status, body: stream.collect().await })
}

/// Outside of WebAssembly there is a pretend cluster, and its pods serve nothing.
#[cfg(not(target_family = "wasm"))]
async fn exchange(request: Request) -> Result<Response, String> {
    Err(format!("a pretend cluster answers no {} requests", request.method))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn urls() {
        assert_eq!(parts("http://h:80/a?b#c"), Ok((false, "h:80", "/a?b")));
        assert_eq!(parts("https://h"), Ok((true, "h", "")));
        assert_eq!(parts("http://[::1]:80?x"), Ok((false, "[::1]:80", "?x")));
        for bad in ["ftp://h", "h/x", "http:///x", "", "https://", "://h"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }
}
