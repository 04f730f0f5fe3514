//! `ocho encrypt`: a file that only jobs of one servo can read.

use std::fs;
use std::path::PathBuf;
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
    let into = arguments.into.clone().unwrap_or_else(|| PathBuf::from(format!("{}.aes", arguments.file.display())));
    fs::write(&into, file).map_err(|cause| Failure::Machine { what: "cannot write the encrypted file", cause })?;
    screen.hint_if_watched(&format!("`{}` can be kept with the jobs; the clear file should not be", into.display()));
    Ok(ExitCode::SUCCESS)
}
