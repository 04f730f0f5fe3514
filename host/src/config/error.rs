//! What is wrong with the configuration. Ends the program with exit code 2.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or folder cannot be used.
    #[error("cannot use `{}` for {option}: {}", path.display(), crate::net::reason(cause))]
    Path {
        /// The option.
        option: &'static str,
        /// What it names.
        path: PathBuf,
        /// Why not. Not a source as well, since the text has it.
        cause: std::io::Error,
    },
    /// The token's file holds none.
    #[error("the token file `{}` is empty", .0.display())]
    EmptyToken(PathBuf),
    /// Anybody could use the host.
    #[error(
        "{0} is not a loopback address and there is no token; set --token-file (or $OCHOD_TOKEN), or say --open to let everybody in"
    )]
    Open(SocketAddr),
    /// Nothing could ever be installed.
    #[error("--tool-signatures is `required` and there is no key to check them with; name one with --tool-keys NAME=KEY")]
    NoToolKeys,
    /// The port is taken, or the address is not this machine's.
    #[error("cannot listen on {address} for {option}: {}", crate::net::reason(cause))]
    Listen {
        /// The option.
        option: &'static str,
        /// What it says.
        address: SocketAddr,
        /// Why not. Not a source as well, since the text has it.
        cause: std::io::Error,
    },
    /// The configuration file, line by line.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    File(Vec<Problem>),
    /// A variable of the environment.
    #[error("${name}: {why}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with its value.
        why: String,
    },
    /// Two options that exclude each other come from the same place.
    #[error("`{0}` and `{1}` exclude each other; set one of them")]
    Exclusive(String, String),
}

/// Something wrong in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path.display(), self.line, self.why)
    }
}
