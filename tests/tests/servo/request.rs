//! Requests to the servo, as a CI system makes them, and as one should not.

use ocho_core::signature::Token;
use ocho_tests::{TestHost, http};
use serde_json::Value;

/// The token of the reference's documentation.
pub(crate) const TOKEN: &str = "edAZR8atfOahd7tfPnVo3xpJX+ks6wsV";

const BOUNDARY: &str = "----5f1c2d7ab9e04c36";

/// A host whose servo has the token.
pub(crate) fn host() -> TestHost {
    plan().start()
}

pub(crate) fn plan() -> ocho_tests::host::Plan {
    TestHost::up().env("OCHOD_SERVO_TOKEN", TOKEN)
}

/// What the servo answered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) http: http::Response,
}

impl Reply {
    /// Status, `ok` and log of a reply in JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> (u16, Value, Vec<String>) {
        assert_eq!(self.http.header("content-type"), "application/json; charset=utf-8", "{}", self.http.body);
        let json = self.http.json();
        let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["ok", "log"]);
        let log = json["log"].as_array().expect("a list").iter().map(|line| line.as_str().expect("a text").to_owned());
        (self.http.status, json["ok"].clone(), log.collect())
    }

    /// The log without the line of the callback.
    #[track_caller]
    pub(crate) fn log(&self) -> Vec<String> {
        self.json().2.into_iter().filter(|line| !line.starts_with("$CALLBACK")).collect()
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> Vec<String> {
        assert_eq!(self.json().1, 1, "{}", self.http.body);
        self.log()
    }

    #[track_caller]
    pub(crate) fn failed(&self) -> Vec<String> {
        assert_eq!(self.json().1, 0, "{}", self.http.body);
        self.log()
    }

    pub(crate) fn run(&self) -> &str {
        self.http.header("x-ocho-run")
    }
}

/// A request with one part `tgz`, signed as the original's clients do.
#[derive(Clone)]
pub(crate) struct Upload {
    url: String,
    parts: Vec<(String, Vec<u8>)>,
    headers: Vec<(&'static str, String)>,
}

impl Upload {
    pub(crate) fn to(host: &TestHost, names: &str, archive: &[u8]) -> Self {
        let signature = Token::new(TOKEN).expect("not empty").sign(archive);
        Self::unsigned(host, names).part("name=\"tgz\"; filename=\"upload.tgz\"", archive).header("x-signature", &signature)
    }

    pub(crate) fn unsigned(host: &TestHost, names: &str) -> Self {
        Self { url: format!("http://{}/run/{names}", host.address("servo")), parts: Vec::new(), headers: Vec::new() }
    }

    /// Asks for other jobs.
    pub(crate) fn named(mut self, names: &str) -> Self {
        let (before, _) = self.url.rsplit_once('/').expect("a URL with a path");
        self.url = format!("{before}/{names}");
        self
    }

    pub(crate) fn part(mut self, disposition: &str, content: &[u8]) -> Self {
        self.parts.push((disposition.to_owned(), content.to_owned()));
        self
    }

    /// Sets a header, in the place of one of the same name.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(there, _)| *there != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (disposition, content) in &self.parts {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        body
    }

    #[track_caller]
    pub(crate) fn send(&self) -> Reply {
        let body = self.body();
        let form = format!("multipart/form-data; boundary={BOUNDARY}");
        let mut headers: Vec<(&'static str, &str)> = vec![("content-type", &form)];
        let has_accept = self.headers.iter().any(|(name, _)| *name == "accept");
        if !has_accept {
            headers.push(("accept", "application/json"));
        }
        headers.extend(self.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let mut http = http::send("POST", &self.url, &headers, body);
        http.body = at_once(&http.body);
        Reply { http }
    }
}

/// A log as if no part had taken a second: the machine may have other work.
pub(crate) fn at_once(log: &str) -> String {
    let mut pieces = log.split(" ran in ");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |log, piece| match piece.trim_start_matches(|c: char| c.is_ascii_digit()) {
        rest if rest.starts_with(" seconds") => format!("{log} ran in 0{rest}"),
        _ => format!("{log} ran in {piece}"),
    })
}

/// Sends a bundle, signed.
#[track_caller]
pub(crate) fn send(host: &TestHost, names: &str, archive: &[u8]) -> Reply {
    Upload::to(host, names, archive).send()
}

/// Folders of jobs that are still there.
pub(crate) fn folders_left(host: &TestHost) -> Vec<String> {
    let places = std::fs::read_dir(host.home().join("data")).expect("the data folder is there").flatten();
    let places = places.filter(|entry| entry.file_name().to_string_lossy().starts_with("ocho-jobs-"));
    let inside = places.flat_map(|place| std::fs::read_dir(place.path()).into_iter().flatten().flatten());
    inside.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| name != "lock").collect()
}
