//! What a configuration says that cannot be: doors left open, folders that cannot be read.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use ocho_core::signature::Token;

use super::{ConfigError, Face, HostArgs};

impl HostArgs {
    /// The token, from wherever it comes.
    ///
    /// # Errors
    /// Where its file cannot be read or is empty.
    pub fn read_token(&self) -> Result<Option<Token>, ConfigError> {
        let Some(path) = &self.token_file else { return Ok(self.token.as_deref().and_then(Token::new)) };
        let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Path {
            option: "--token-file",
            path: path.clone(),
            cause,
        })?;
        Token::new(text.trim()).map(Some).ok_or_else(|| ConfigError::EmptyToken(path.clone()))
    }

    /// Refuses what would let strangers in, and folders that cannot be read.
    ///
    /// # Errors
    /// With one sentence that says what to do.
    pub fn check(&self, token: Option<&Token>) -> Result<(), ConfigError> {
        if token.is_none() && !self.open {
            for (face, address) in [(Face::Portal, self.portal), (Face::Servo, self.servo)] {
                if self.serves(face) && !is_loopback(address.ip()) {
                    return Err(ConfigError::Open(address));
                }
            }
        }
        if self.tool_args.lacks_keys() {
            return Err(ConfigError::NoToolKeys);
        }
        check_folder("--tools", self.tools.as_deref())
    }
}

/// Refuses a folder that cannot be listed.
///
/// # Errors
/// With the option, the path and the reason.
pub fn check_folder(option: &'static str, folder: Option<&Path>) -> Result<(), ConfigError> {
    let Some(folder) = folder else { return Ok(()) };
    match std::fs::read_dir(folder) {
        Ok(_) => Ok(()),
        Err(cause) => Err(ConfigError::Path { option, path: folder.to_owned(), cause }),
    }
}

/// Whether only this machine reaches the address.
#[must_use]
pub fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(address.is_loopback(), |address: Ipv4Addr| address.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command, UpArgs};
    use super::*;

    fn up(args: &[&str]) -> UpArgs {
        match Cli::try_parse_from(["ochod", "up"].iter().chain(args)).unwrap().command {
            Command::Up(up) => *up,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_open_address_needs_a_token() {
        assert!(up(&[]).host.check(None).is_ok());
        let args = up(&["--portal", "0.0.0.0:9000"]);
        let text = args.host.check(None).unwrap_err().to_string();
        assert!(text.starts_with("0.0.0.0:9000 is not a loopback address"), "{text}");
        assert!(args.host.check(Token::new("x").as_ref()).is_ok());
        assert!(up(&["--portal", "0.0.0.0:9000", "--open"]).host.check(None).is_ok());
        assert!(up(&["--portal", "0.0.0.0:9000", "--only", "servo"]).host.check(None).is_ok(), "it is not opened");
        assert!(is_loopback("::ffff:127.0.0.1".parse().unwrap()) && !is_loopback("::ffff:10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_token_file_is_read_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let token = |text: &str| {
            std::fs::write(path, text).unwrap();
            up(&["--token-file", path]).host.read_token()
        };
        assert_eq!(token("s3cret\n").unwrap(), Token::new("s3cret"));
        assert!(matches!(token(" \n"), Err(ConfigError::EmptyToken(_))));
        let missing = up(&["--token-file", "/missing/file"]).host.read_token();
        assert!(missing.unwrap_err().to_string().starts_with("cannot use `/missing/file` for --token-file: "));
    }
}
