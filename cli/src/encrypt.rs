//! `ocho encrypt`: a file that only jobs of one servo can read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ocho_core::aes::{self, Derivation};
use ocho_core::signature::Token;

use crate::args::EncryptArguments;
use crate::blame::Failure;
use crate::screen::Screen;
use crate::target::TargetError;
use crate::upload::UploadError;

/// Writes `<file>.aes` beside a file.
pub(crate) fn run(arguments: &EncryptArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let token = arguments.token.as_deref().and_then(Token::new).ok_or(TargetError::NoServoToken)?;
    let shown = arguments.file.display().to_string();
    let content = fs::read(&arguments.file).map_err(|cause| UploadError::Unreadable { path: shown, cause })?;
    let derivation = if arguments.md5 { Derivation::Md5 } else { Derivation::Sha256 };
    let file = aes::encrypt(&token, derivation, rand::random(), &content);
    let into = arguments.into.clone().unwrap_or_else(|| beside(&arguments.file));
    let unwritable = |cause: io::Error| {
        let cause = io::Error::new(cause.kind(), format!("`{}`: {cause}", into.display()));
        Failure::Machine { what: "cannot write the encrypted file", cause }
    };
    fs::write(&into, file).map_err(unwritable)?;
    screen.hint_if_watched(&format!("`{}` can be kept with the jobs; the clear file should not be", into.display()));
    Ok(ExitCode::SUCCESS)
}

/// `<file>.aes`.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".aes");
    name.into()
}
