//! Secrets of a bundle: the clear form of its encrypted files.

use std::fmt;

use super::JobError;

/// A text that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

/// Reads the secret that came as `<name>.aes`, without the end of its last line.
///
/// # Errors
/// Where the bundle has none of this name, or it is no text.
pub fn secret(name: &str) -> Result<Secret, JobError> {
    let text = std::fs::read_to_string(name).map_err(|cause| JobError::File { name: name.to_owned(), why: cause.to_string() })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}
