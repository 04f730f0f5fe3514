//! The servo's part of the daemon's command line.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use ocho_core::signature::Token;
use ocho_runtime::{Grants, Interface};

use super::reach::AllowedHost;
use crate::config::{ConfigError, seconds};

/// Options of the servo.
#[derive(Debug, Clone, Args)]
pub struct ServoArgs {
    /// Secret that signs bundles and decrypts their files; the host's token if not given, else one that is made, shown by
    /// `poll *servo` and kept in --data
    #[arg(long, value_name = "SECRET", env = "OCHOD_SERVO_TOKEN", hide_env_values = true)]
    pub servo_token: Option<String>,
    /// Jobs at once; four times as many wait
    #[arg(long, value_name = "N", env = "OCHOD_JOBS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub jobs: u32,
    /// CPU time of each part of a job
    #[arg(long, value_name = "SECONDS", env = "OCHOD_JOB_CPU_LIMIT", default_value = "600", value_parser = seconds)]
    pub job_cpu_limit: Duration,
    /// Time of each part of a job, waiting included
    #[arg(long, value_name = "SECONDS", env = "OCHOD_JOB_WALL_LIMIT", default_value = "21600", value_parser = seconds)]
    pub job_wall_limit: Duration,
    /// What jobs may reach, besides HTTP to pods
    #[arg(
        long,
        value_name = "INTERFACE,...",
        env = "OCHOD_JOB_GRANTS",
        value_delimiter = ',',
        default_value = "pods/registry,pods/observe,proxy/shell,proxy/shell-blocking"
    )]
    pub job_grants: Vec<Interface>,
    /// Hosts beside the pods of the cluster that jobs may send HTTP requests to: names, addresses, networks such as 10.1.0.0/16
    #[arg(long, value_name = "HOST[:PORT],...", env = "OCHOD_JOB_HTTP", value_delimiter = ',')]
    pub job_http: Vec<AllowedHost>,
    /// Authorities that vouch for servers of https, beside the system's: a file of certificates in PEM form
    #[arg(long, value_name = "FILE", env = "OCHOD_JOB_HTTP_CA")]
    pub job_http_ca: Option<PathBuf>,
}

/// How jobs are run.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// Jobs at once.
    pub at_once: u32,
    /// Processor time of each part.
    pub cpu: Duration,
    /// Time of each part.
    pub wall: Duration,
    /// What they may reach.
    pub grants: Grants,
    /// Where their HTTP requests may go, besides pods.
    pub allowed: Vec<AllowedHost>,
    /// Who vouches for servers of `https`, beside those that the system trusts.
    pub ca: Option<PathBuf>,
}

/// The file in the data folder that keeps a token that was made.
const TOKEN_FILE: &str = "servo-token";

/// Symbols of a token: 64, so that each byte of chance gives one without favour.
const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl ServoArgs {
    /// How jobs are run.
    #[must_use]
    pub fn settings(&self) -> JobSettings {
        JobSettings {
            at_once: self.jobs,
            cpu: self.job_cpu_limit,
            wall: self.job_wall_limit,
            grants: self.job_grants.iter().copied().collect(),
            allowed: self.job_http.clone(),
            ca: self.job_http_ca.clone(),
        }
    }

    /// The servo's token: the one given, else the host's, else the one made before, else a new one.
    ///
    /// # Errors
    /// Where the data folder cannot be used.
    pub fn token(&self, host: Option<&Token>, data: Option<&Path>) -> Result<Token, ConfigError> {
        let given = self.servo_token.as_deref().and_then(Token::new).or_else(|| host.cloned());
        match (given, data) {
            (Some(token), _) => Ok(token),
            (None, None) => Ok(make_token()),
            (None, Some(data)) => {
                let path = data.join(TOKEN_FILE);
                kept_token(&path).map_err(|cause| ConfigError::Path { option: "--data", path, cause })
            }
        }
    }
}

fn make_token() -> Token {
    let symbols: String = rand::random::<[u8; 32]>().iter().map(|byte| char::from(SYMBOLS[usize::from(byte % 64)])).collect();
    Token::new(&symbols).expect("it has 32 symbols")
}

/// The token that this folder keeps; made where there is none.
fn kept_token(path: &PathBuf) -> io::Result<Token> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::read_to_string(path) {
        Ok(text) => return Token::new(text.trim()).ok_or_else(|| io::Error::other("it is empty; remove it, or write a token")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let token = make_token();
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", token.reveal())?;
    file.sync_all()?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        servo: ServoArgs,
    }

    fn args(words: &[&str]) -> ServoArgs {
        Only::try_parse_from([&["ochod"], words].concat()).unwrap().servo
    }

    #[test]
    fn a_token_that_was_made_stays() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("not-there-yet");
        let first = args(&[]).token(None, Some(&folder)).unwrap();
        assert_eq!(first.reveal().len(), 32);
        assert!(first.reveal().bytes().all(|byte| SYMBOLS.contains(&byte)));
        assert_eq!(args(&[]).token(None, Some(&folder)).unwrap(), first);
        assert_ne!(args(&[]).token(None, None).unwrap(), first);
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(folder.join(TOKEN_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(folder.join(TOKEN_FILE), "\n").unwrap();
        assert!(args(&[]).token(None, Some(&folder)).is_err());
    }

    #[test]
    fn a_token_can_be_given() {
        let host = Token::new("host");
        assert_eq!(args(&[]).token(host.as_ref(), None).unwrap(), Token::new("host").unwrap());
        assert_eq!(args(&["--servo-token", "own"]).token(host.as_ref(), None).unwrap(), Token::new("own").unwrap());
    }

    #[test]
    fn grants_and_hosts_are_lists() {
        let settings = args(&["--job-grants", "marathon/inspect,pods/exec", "--job-http", "repo.example:80,10.0.0.1"]).settings();
        assert_eq!(settings.grants.to_string(), "marathon/inspect, pods/exec");
        assert_eq!(settings.allowed.len(), 2);
        assert!(args(&[]).settings().grants.has(Interface::ProxyShell));
        assert!(Only::try_parse_from(["ochod", "--job-grants", "pods"]).is_err());
        assert!(Only::try_parse_from(["ochod", "--job-http", "http://x"]).is_err());
    }
}
