//! `ocho init`: the beginnings of a pod, ready to be deployed.

mod answers;
mod scaffold;

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use crate::args::InitArguments;
use crate::blame::Failure;
use crate::screen::Screen;
use answers::{Image, Tag};
use scaffold::Kind;

/// Why there is no pod to begin with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    #[error("there is no template `{0}`; there are {names}", names = Kind::names())]
    NoTemplate(String),
    #[error("identifier `{0}` has no letter or digit of ASCII")]
    Tag(String),
    #[error("image `{0}` does not read as `[registry[:port]/][team/]name[:tag]` in lower case")]
    Image(String),
    #[error("no answer to `{0}`")]
    NoAnswer(&'static str),
    #[error("`{}` is there already, nothing was written", .0.display())]
    Exists(PathBuf),
    #[error("cannot write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// Asks what the arguments leave open, and writes the folder.
pub(crate) fn run(arguments: &InitArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let kind: Kind = arguments.kind.parse()?;
    let mut input = Input { lines: io::stdin().lock(), asks_again: io::stdin().is_terminal(), screen };
    let tag: Tag = match &arguments.name {
        Some(name) => name.parse()?,
        None => input.ask("enter a short identifier (e.g web or database): ", "")?,
    };
    let image: Image = match &arguments.image {
        Some(image) => image.parse()?,
        None if arguments.name.is_some() => tag.as_str().parse()?,
        None => input.ask("enter the docker repo/image: ", tag.as_str())?,
    };
    let folder = arguments.into.clone().unwrap_or_else(|| PathBuf::from(format!("ochopod-marathon-{tag}")));
    scaffold::write(kind, &tag, &image, &folder)?;
    screen.result(&format!("template ready in {}/", folder.display()))?;
    screen.hint_if_watched(&format!(
        "`ochod up --images {folder}/images`, then `ocho cli localhost deploy {folder}/{tag}.yml`",
        folder = folder.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Where answers come from.
struct Input<R> {
    lines: R,
    /// A person can try again, a file cannot.
    asks_again: bool,
    screen: Screen,
}

impl<R: BufRead> Input<R> {
    /// Asks until the answer reads. An empty answer means `otherwise`.
    fn ask<T: FromStr<Err = InitError>>(&mut self, question: &'static str, otherwise: &str) -> Result<T, Failure> {
        loop {
            let answer = self.line(question)?.ok_or(InitError::NoAnswer(question.trim_end_matches([':', ' '])))?;
            let answer = if answer.trim().is_empty() { otherwise } else { answer.trim() };
            match T::from_str(answer) {
                Err(error) if self.asks_again => self.screen.error(&error.to_string()),
                read => return Ok(read?),
            }
        }
    }

    fn line(&mut self, question: &str) -> Result<Option<String>, Failure> {
        let broken = |what| move |cause| Failure::Machine { what, cause };
        let mut out = io::stdout().lock();
        write!(out, "> {question}").and_then(|()| out.flush()).map_err(broken("cannot write to standard output"))?;
        let mut line = String::new();
        let read = self.lines.by_ref().take(4096).read_line(&mut line).map_err(broken("cannot read standard input"))?;
        if !self.asks_again {
            // Nobody typed Enter: the next thing begins a line of its own.
            writeln!(out).map_err(broken("cannot write to standard output"))?;
        }
        Ok((read > 0).then_some(line))
    }
}
