//! Files that an application names (`fetch`, once `uris`): brought into the task's folder before it starts.

mod budget;
mod download;
mod unpack;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use self::budget::Budget;
use crate::scheduler::model::app::Fetch;

/// What bringing the files of one task may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FetchLimits {
    /// What is written: downloads, and what comes out of archives.
    pub(crate) bytes: u64,
    pub(crate) within_ms: u64,
}

/// A file that could not be brought.
#[derive(Debug, thiserror::Error)]
#[error("cannot fetch `{uri}`: {cause}")]
pub(crate) struct FetchError {
    uri: String,
    cause: Cause,
}

/// Why a file could not be brought.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error("it does not read as an address")]
    NotAnAddress,
    #[error("`{0}` is not supported; use http, https or file")]
    Scheme(String),
    #[error("its path names no file")]
    NoName,
    #[error("it is no file")]
    NoFile,
    #[error("`{0}` leads out of the task's folder")]
    Escapes(String),
    #[error("the server answered {0}")]
    Status(u16),
    #[error("{0}")]
    Http(String),
    #[error("the files of the task take more than {0} bytes")]
    TooLarge(u64),
    #[error("archives hold more than {} files", budget::ENTRIES_MAX)]
    TooMany,
    #[error("it took longer than {} s", .0.as_secs_f64())]
    TooSlow(Duration),
    #[error("`{0}` is neither a file, nor a folder, nor a link")]
    OddEntry(String),
    #[error("the archive does not read: {0}")]
    Archive(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Brings files one after the other. What is unpacked may overwrite what came before; nothing is written elsewhere.
pub(crate) async fn bring(sandbox: &Path, files: &[Fetch], limits: FetchLimits) -> Result<(), FetchError> {
    let within = Duration::from_millis(limits.within_ms);
    let end = tokio::time::Instant::now() + within;
    let budget = Arc::new(Budget::new(limits.bytes));
    // Threads that unpack notice that nobody waits for them any more.
    let _halt = budget::Halt(budget.clone());
    for file in files {
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        let brought = timeout(left, bring_one(sandbox, file, &budget)).await.unwrap_or(Err(Cause::TooSlow(within)));
        brought.map_err(|cause| FetchError { uri: shown(&file.uri), cause: budget.judge(cause) })?;
    }
    Ok(())
}

async fn bring_one(sandbox: &Path, file: &Fetch, budget: &Arc<Budget>) -> Result<(), Cause> {
    let sandbox = sandbox.canonicalize()?;
    let source = Source::of(&file.uri)?;
    let path = match &file.dest_path {
        Some(text) => inside(text)?,
        None => PathBuf::from(source.name()?),
    };
    let folder = make_folder(&sandbox, path.parent().unwrap_or(Path::new("")))?;
    let name = path.file_name().ok_or(Cause::NoName)?;
    // A name of its own until it is whole: a link of that name, from an archive before it, is replaced and not followed.
    let partial = folder.join(format!(".fetch-{:016x}", rand::random::<u64>()));
    match &source {
        Source::Local(from) => download::copy(from.clone(), partial.clone(), budget.clone()).await?,
        Source::Remote(url) => download::get(url, &partial, budget).await?,
    }
    fs::set_permissions(&partial, fs::Permissions::from_mode(if file.executable { 0o755 } else { 0o644 }))?;
    let whole = folder.join(name);
    fs::rename(&partial, &whole)?;
    let packing = unpack::Packing::of(name).filter(|_| file.extract && !file.executable);
    let Some(packing) = packing else { return Ok(()) };
    let budget = budget.clone();
    tokio::task::spawn_blocking(move || unpack::unpack(packing, &whole, &sandbox, &budget))
        .await
        .map_err(|panic| Cause::Archive(panic.to_string()))?
}

/// Where a file comes from.
enum Source {
    Local(PathBuf),
    Remote(reqwest::Url),
}

impl Source {
    fn of(uri: &str) -> Result<Self, Cause> {
        if uri.starts_with('/') {
            return Ok(Self::Local(PathBuf::from(uri)));
        }
        let url: reqwest::Url = uri.parse().map_err(|_| Cause::NotAnAddress)?;
        match url.scheme() {
            "http" | "https" => Ok(Self::Remote(url)),
            "file" => url.to_file_path().map(Self::Local).map_err(|()| Cause::NotAnAddress),
            other => Err(Cause::Scheme(other.to_owned())),
        }
    }

    /// The last part of the path, without the query.
    fn name(&self) -> Result<String, Cause> {
        let name = match self {
            Self::Local(path) => path.file_name().and_then(|name| name.to_str()).map(str::to_owned),
            Self::Remote(url) => url.path().rsplit('/').next().map(str::to_owned),
        };
        name.filter(|name| !matches!(name.as_str(), "" | "." | "..")).ok_or(Cause::NoName)
    }
}

/// A relative path that stays below where it starts.
fn inside(text: &str) -> Result<PathBuf, Cause> {
    stays(Path::new(text)).filter(|path| path.file_name().is_some()).ok_or_else(|| Cause::Escapes(text.to_owned()))
}

/// The plain parts of a path; `None` when it begins elsewhere or climbs.
fn stays(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(plain)
}

/// Makes a folder below `top`. A link out of it on the way is an escape.
fn make_folder(top: &Path, below: &Path) -> Result<PathBuf, Cause> {
    let mut folder = top.to_owned();
    for part in below.components() {
        folder.push(part);
        match fs::create_dir(&folder) {
            Err(cause) if cause.kind() != std::io::ErrorKind::AlreadyExists => return Err(cause.into()),
            _ => {}
        }
        let real = folder.canonicalize()?;
        if !real.starts_with(top) {
            return Err(Cause::Escapes(below.display().to_string()));
        }
    }
    Ok(folder)
}

/// An address without the password that may stand in it.
fn shown(uri: &str) -> String {
    match uri.parse::<reqwest::Url>() {
        Ok(mut url) if url.password().is_some() || !url.username().is_empty() => {
            let _ = url.set_password(None);
            let _ = url.set_username("");
            url.to_string()
        }
        _ => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |uri: &str| Source::of(uri).and_then(|source| source.name()).map_err(|cause| cause.to_string());
        assert_eq!(name("http://h/a/b.tgz?x=/y"), Ok("b.tgz".to_owned()));
        assert_eq!(name("file:///a/b"), Ok("b".to_owned()));
        assert_eq!(name("/a/b"), Ok("b".to_owned()));
        assert_eq!(name("http://h/"), Err("its path names no file".to_owned()));
        assert_eq!(name("http://h/a/.."), Err("its path names no file".to_owned()));
        assert_eq!(name("s3://b/c"), Err("`s3` is not supported; use http, https or file".to_owned()));
        assert_eq!(name("relative/path"), Err("it does not read as an address".to_owned()));
    }

    #[test]
    fn places() {
        let place = |text: &str| inside(text).map(|path| path.display().to_string()).map_err(|cause| cause.to_string());
        assert_eq!(place("./a//b"), Ok("a/b".to_owned()));
        for bad in ["../a", "/a", "a/../../b", "a/..", "", "."] {
            assert_eq!(place(bad), Err(format!("`{bad}` leads out of the task's folder")), "{bad}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("http://me:secret@h/a"), "http://h/a");
        assert_eq!(shown("not an address"), "not an address");
    }

    #[test]
    fn links_lead_nowhere() {
        let home = tempfile::tempdir().expect("a folder");
        let top = home.path().join("top");
        fs::create_dir(&top).expect("made");
        std::os::unix::fs::symlink(home.path(), top.join("out")).expect("made");
        assert!(matches!(make_folder(&top.canonicalize().expect("there"), Path::new("out/x")), Err(Cause::Escapes(_))));
        assert!(!home.path().join("x").exists());
    }
}
