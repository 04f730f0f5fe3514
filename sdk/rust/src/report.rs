//! What a tool leaves behind: a text for standard output and whether it succeeded.

use serde::Serialize;

/// The end of a tool that ran through.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Report {
    text: Option<String>,
    is_ok: bool,
}

impl Report {
    /// A text; an empty one prints nothing at all.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()).filter(|text| !text.is_empty()), is_ok: true }
    }

    /// A value as one line of JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::text(ocho_core::json::to_line(value))
    }

    /// The same, with an exit code of 1 where `is_ok` is false.
    pub fn with_success(self, is_ok: bool) -> Self {
        Self { is_ok, ..self }
    }

    /// Whether the exit code is 0.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.is_ok
    }

    /// What goes to standard output, with the newline at its end.
    #[must_use]
    pub fn output(&self) -> String {
        self.text.as_ref().map_or_else(String::new, |text| format!("{text}\n"))
    }
}

/// Why a tool gave up as a whole. It reads `shutting down <- <reason>` and the exit code is 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A reason of the tool's own.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The reason alone.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0
    }

    /// What goes to standard output.
    #[must_use]
    pub fn output(&self) -> String {
        format!("shutting down <- {}\n", self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(chain(&error))
    }
}

/// An error and its causes, from the outside in.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
