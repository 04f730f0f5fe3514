//! The pod's tool `run`, as `exec *servo --force run scripts.tgz deploy.py test.py -v key:value` reaches it.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::{Arc, Weak};

use axum::http::{HeaderName, HeaderValue};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ocho_core::command_line;
use ocho_core::signature::{hex, sha256};
use ocho_runtime::host::{PodOutcome, Upload as Sent};
use serde_json::json;

use super::jobs::{Inner, JobOrder, Jobs, State};
use super::upload::Upload;
use super::variables::Variables;
use crate::own_pods::PodTools;

/// The tools of the servo's pod. It does not keep the jobs alive: they reach the pods, and so this, and what reaches itself would
/// never go, its folders with it.
pub struct ServoTools(Weak<Inner>);

impl ServoTools {
    /// The tools that run these jobs, for as long as somebody else holds them.
    #[must_use]
    pub fn new(jobs: &Jobs) -> Self {
        Self(Arc::downgrade(&jobs.0))
    }
}

impl PodTools for ServoTools {
    fn exec(&self, line: String, files: Vec<Sent>) -> BoxFuture<'static, PodOutcome> {
        let jobs = self.0.upgrade().map(Jobs);
        async move {
            let Some(jobs) = jobs else { return replied(503, &json!({})) };
            // A line that cannot be cut into words still says whom it is for.
            if line.split_ascii_whitespace().next() != Some("run") {
                return replied(404, &json!({}));
            }
            let (ok, stdout) = run(&jobs, &line, &files).await.unwrap_or_else(|line| (false, vec![line]));
            replied(200, &json!({"code": u8::from(!ok), "stdout": stdout}))
        }
        .boxed()
    }
}

fn replied(status: u16, body: &serde_json::Value) -> PodOutcome {
    PodOutcome::Replied { status, body: body.to_string() }
}

/// Runs a bundle and waits for its log. Whoever stops waiting does not end it.
async fn run(jobs: &Jobs, line: &str, files: &[Sent]) -> Result<(bool, Vec<String>), String> {
    let Arguments { archive, names, variables } = Arguments::of_line(line)?;
    let unexpected = |why: &dyn std::fmt::Display| format!("unexpected failure -> {why}");
    let file = files.iter().find(|file| file.name == archive);
    let file =
        file.ok_or_else(|| unexpected(&format_args!("failed to sign the archive (`{archive}` did not come with the command)")))?;
    let upload = keep(jobs, file).map_err(|error| unexpected(&error))?;
    let job = jobs.start(JobOrder { names, variables, upload }).map_err(|error| unexpected(&error))?;
    let state = job.ended().await;
    Ok((state == State::Succeeded, job.log.compatible()))
}

fn keep(jobs: &Jobs, file: &Sent) -> std::io::Result<Upload> {
    let mut archive = jobs.0.folders.spool()?;
    archive.write_all(&file.content)?;
    archive.seek(SeekFrom::Start(0))?;
    Ok(Upload { archive, pieces: jobs.0.token.pieces(), digest: hex(&sha256(&file.content)), _room: None })
}

/// `run <tgz> <script> [<script> ...] [-v|--variables key:value [key:value ...]]`
struct Arguments {
    archive: String,
    names: Vec<String>,
    variables: Variables,
}

impl Arguments {
    /// Reads what follows the first word.
    fn of_line(line: &str) -> Result<Self, String> {
        let words = command_line::split(line).map_err(|error| format!("run: error: {error}\n"))?;
        Self::read(words.get(1..).unwrap_or_default())
    }

    fn read(words: &[String]) -> Result<Self, String> {
        let (mut plain, mut pairs, mut is_variable) = (Vec::new(), Vec::new(), false);
        for word in words {
            match word.as_str() {
                "-v" | "--variables" => is_variable = true,
                other if other.starts_with('-') => return Err(format!("run: error: unrecognized arguments: {other}\n")),
                _ if is_variable => {
                    // Only the first colon separates, so that a URL can be a value.
                    let pair = word.split_once(':').filter(|(name, value)| is_variable_of_a_request(name, value));
                    let (name, value) =
                        pair.ok_or_else(|| format!("unexpected failure -> `{word}` does not read as key:value"))?;
                    pairs.push((name.to_owned(), value.to_owned()));
                }
                _ => plain.push(word.clone()),
            }
        }
        match plain.split_first() {
            Some((archive, names)) if !names.is_empty() => {
                // As in the path of a request, a word may hold several names.
                let names = names.iter().flat_map(|word| word.split('+')).map(str::to_owned).collect();
                Ok(Self { archive: archive.clone(), names, variables: Variables::of(pairs) })
            }
            _ => Err("run: error: too few arguments\n".to_owned()),
        }
    }
}

/// Whether a request could carry it as `X-Var-<name>`: then it has one line, and a name that an environment can have.
fn is_variable_of_a_request(name: &str, value: &str) -> bool {
    !name.is_empty() && HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_bytes(value.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(String, Vec<String>, Vec<String>), String> {
        let words: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Arguments::read(&words).map(|read| (read.archive, read.names, read.variables.lines().collect()))
    }

    #[test]
    fn arguments_of_run() {
        let (archive, names, variables) = read("x.tgz a.py b.py -v k:v url:http://h/").unwrap();
        assert_eq!(
            (archive.as_str(), names, variables),
            ("x.tgz", vec!["a.py".to_owned(), "b.py".to_owned()], vec!["$K = v".to_owned(), "$URL = http://h/".to_owned()])
        );
        for few in ["", "x.tgz", "-v a:b", "x.tgz -v a:b"] {
            assert_eq!(read(few).unwrap_err(), "run: error: too few arguments\n");
        }
        for bad in ["k", ":v", "a=b:v", "k:\n", "k:\0"] {
            assert!(read(&format!("x.tgz a -v {bad}")).unwrap_err().starts_with(&format!("unexpected failure -> `{bad}`")));
        }
        let (_, names, variables) = read("x.tgz a.py+b.py c -v name:grüße").unwrap();
        assert_eq!((names, variables), (["a.py", "b.py", "c"].map(str::to_owned).to_vec(), vec!["$NAME = grüße".to_owned()]));
        assert!(read("x.tgz a --other").unwrap_err().contains("unrecognized arguments: --other"));
    }

    #[test]
    fn a_line_that_cannot_be_cut_says_why() {
        let said = |line| Arguments::of_line(line).map(|_| ()).unwrap_err();
        assert_eq!(said("run x.tgz a -v 'k:v"), "run: error: the quote ' at character 16 is never closed\n");
        assert!(said("run x.tgz a\\").starts_with("run: error: the line ends with a backslash"));
        assert_eq!(said("run"), "run: error: too few arguments\n");
        assert_eq!(said(""), "run: error: too few arguments\n");
    }
}
