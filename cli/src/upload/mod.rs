//! Files and folders that go with a command: found in its words, named, packed, and written as one request body.

mod archive;
mod find;
mod form;
mod positions;
mod watch;

use std::path::PathBuf;

pub(crate) use find::find;
pub(crate) use form::{Body, Source, compose};
pub(crate) use positions::{Position, is_path, positions};
pub(crate) use watch::{Cancel, Progress};

/// One file or folder to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    /// What it is called on the host, and in the line that is sent.
    pub(crate) name: String,
    /// Where it is, as the user spelled it.
    pub(crate) shown: String,
    /// Where it is, resolved.
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    /// Sent as a gzipped tar of what it holds.
    Folder,
}

/// Why files cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("cannot read `{path}`")]
    Unreadable {
        path: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("`{0}` is neither a file nor a folder")]
    Special(String),
    #[error("`{0}` changed while it was read")]
    Changed(String),
    #[error("`{path}` cannot be sent under its name: {rule}")]
    Name { path: String, rule: &'static str },
    #[error("`{first}` and `{second}` would both be called `{name}` on the host")]
    SameName { name: String, first: String, second: String },
    #[error("the folder `{0}` holds nothing to send (names that begin with a dot are left out)")]
    EmptyFolder(String),
    #[error("the folder `{path}` holds more than {limit} entries")]
    TooManyEntries { path: String, limit: usize },
    #[error("the files are larger than {limit_mib} MiB together")]
    TooLarge { limit_mib: u64 },
    #[error("cannot keep the files for sending in the temporary folder")]
    Spool(#[source] std::io::Error),
    #[error("cancelled")]
    Cancelled,
}
