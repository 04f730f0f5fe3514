//! The tool `shell`: a line for `/bin/sh`. Whoever may call the pod may run what they like in it.

use std::path::Path;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::command::{Errand, run};
use crate::hooks::Command;
use crate::tools::{Limits, Output, Tool};

/// Runs lines with `/bin/sh`, in the request's folder.
#[derive(Debug, Clone)]
pub struct Shell {
    limits: Limits,
}

impl Shell {
    /// A shell within these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    async fn run_line(&self, line: &str, folder: &Path) -> Output {
        let command = Command::Shell(line.to_owned());
        let Limits { time: limit, output_bytes, .. } = self.limits;
        let errand = Errand { command: &command, variables: None, folder: Some(folder), input: Vec::new(), limit, output_bytes };
        Output::of(run(errand).await)
    }
}

impl Tool for Shell {
    fn run<'a>(&'a self, arguments: &'a str, folder: &'a Path) -> BoxFuture<'a, Output> {
        self.run_line(arguments, folder).boxed()
    }
}
