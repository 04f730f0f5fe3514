//! The files that came with a command. They lie in the run's working folder, which is gone after it.

use std::io::{Error, ErrorKind};

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{name}`: {}", reason(cause))]
pub struct FileError {
    name: String,
    cause: Error,
}

/// A sentence for what happens; a number of the system says nothing to who typed a wrong name.
fn reason(cause: &Error) -> String {
    match cause.kind() {
        ErrorKind::NotFound => "no file of this name came with the command".to_owned(),
        ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => cause.to_string(),
    }
}

/// Reads a text.
///
/// # Errors
/// Where the file did not come with the command, or is not UTF-8.
pub fn read(name: &str) -> Result<String, FileError> {
    #[cfg(target_family = "wasm")]
    let text = std::fs::read_to_string(name);
    #[cfg(not(target_family = "wasm"))]
    let text = crate::pretend::read_file(name);
    text.map_err(|cause| FileError { name: name.to_owned(), cause })
}

/// Whether there is a file of this name.
#[must_use]
pub fn exists(name: &str) -> bool {
    #[cfg(target_family = "wasm")]
    return std::path::Path::new(name).is_file();
    #[cfg(not(target_family = "wasm"))]
    return crate::pretend::read_file(name).is_ok();
}
