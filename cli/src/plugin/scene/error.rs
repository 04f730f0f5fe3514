//! Why a scene cannot be played.

use std::path::PathBuf;

/// Why a scene cannot be played.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SceneError {
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("`{}` does not read as a scene: {why}", path.display())]
    Syntax { path: PathBuf, why: String },
    #[error("`{}` begins `from` itself, or from more than {most} others", path.display())]
    TooDeep { path: PathBuf, most: usize },
    #[error("`{}` has no scenes: files that end in `.toml`", .0.display())]
    None(PathBuf),
    #[error("no scene is called like `{0}`")]
    NoMatch(String),
    #[error("`{}` cannot be played: {why}", path.display())]
    Component { path: PathBuf, why: String },
    #[error("the engine does not start: {0}")]
    Engine(String),
    #[error("the stage cannot be set")]
    Stage(#[source] std::io::Error),
}

impl SceneError {
    /// Whether the author wrote something that does not read, rather than that the machine failed.
    pub(crate) fn is_of_author(&self) -> bool {
        !matches!(self, Self::Engine(_) | Self::Stage(_))
    }
}
