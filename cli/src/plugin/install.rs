//! `ocho plugin install`: brings a component to a host.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use ocho_core::signature::{hex, sha256};
use ocho_core::tools::{Activation, ActivationState};
use ocho_core::{Grants, Interface, ToolName};
use reqwest::Method;

use super::host::{Host, HostArguments, path};
use super::project::{Kind, Project};
use super::{PluginError, local, show};
use crate::args::EXIT_CODES;
use crate::blame::{Blame, Failure};
use crate::client::Ask;
use crate::screen::Screen;
use crate::upload::Body;

const EXAMPLES: &str = "\
Examples:
  ocho plugin install                               in the folder of a plugin: builds it and installs it
  ocho plugin install hello.wasm --as greet         a file, under another name
  ocho plugin install hello.wasm --plan             what would change; nothing does
  ocho plugin install hello.wasm --grant pods/exec  with a grant beyond the default ones
  ocho plugin install hello.wasm --sig hello.minisig

A revision that imports more than it was granted is kept and waits for the grant; the one before goes on.
The exit code is 1 then, and 0 once it is active.";

/// Install a component as a tool of the host, or a new revision of one
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct InstallArguments {
    /// A component, or the folder of a plugin, which is built if needed
    #[arg(default_value = ".")]
    from: PathBuf,
    /// The tool's name [default: that of the file or of the plugin]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<ToolName>,
    /// Show what would change, and change nothing
    #[arg(long)]
    plan: bool,
    /// Grant these as well: `pods/control,marathon/operate`
    #[arg(long, value_name = "INTERFACES", value_delimiter = ',')]
    grant: Vec<Interface>,
    /// Take the name over from what is built in or comes from elsewhere
    #[arg(long)]
    force: bool,
    /// The signature that `minisign -S` made [default: <FILE>.minisig, if it is there]
    #[arg(long, value_name = "FILE")]
    sig: Option<PathBuf>,
    #[command(flatten)]
    host: HostArguments,
}

/// A component on its way.
pub(super) struct Parcel {
    pub(super) tool: ToolName,
    pub(super) wasm: Vec<u8>,
    pub(super) signature: Option<Vec<u8>>,
    pub(super) grants: Grants,
    pub(super) plan: bool,
    pub(super) force: bool,
}

/// Installs it, or says what that would change.
pub(crate) fn run(arguments: &InstallArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let host = arguments.host.connect()?;
    let (file, named) = component(&arguments.from, screen)?;
    let tool = match arguments.name.clone().or(named) {
        Some(tool) => tool,
        None => name_of(&file)?,
    };
    let wasm = local::read(&file)?;
    // What is no component needs no host to say so.
    local::report(&file, &wasm)?;
    let parcel = Parcel {
        tool,
        wasm,
        signature: signature(arguments.sig.as_deref(), &file)?,
        grants: arguments.grant.iter().copied().collect(),
        plan: arguments.plan,
        force: arguments.force,
    };
    let done = send(&host, parcel, screen)?;
    arguments.host.print(screen, &done, || text(&done, arguments.plan))?;
    if let Some(message) = done.message.as_ref().filter(|_| !arguments.host.json) {
        screen.hint(message);
    }
    let is_ok = arguments.plan || done.state == ActivationState::Active;
    Ok(if is_ok { ExitCode::SUCCESS } else { Blame::User.into() })
}

fn text(done: &Activation, is_plan: bool) -> String {
    match &done.plan {
        Some(plan) if is_plan => show::plan(plan),
        _ => show::activation(done),
    }
}

/// The file to send; of a plugin's folder its component and its name.
fn component(from: &Path, screen: Screen) -> Result<(PathBuf, Option<ToolName>), PluginError> {
    if !from.is_dir() {
        return Ok((from.to_owned(), None));
    }
    let project = Project::open(from)?;
    if project.kind() == Kind::Job {
        return Err(PluginError::JobInstalled(project.name().to_string()));
    }
    Ok((project.build(screen)?, Some(project.name().clone())))
}

fn name_of(file: &Path) -> Result<ToolName, PluginError> {
    let stem = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    stem.parse().map_err(|error| PluginError::NoName { path: file.to_owned(), why: format!("{error}") })
}

/// The signature that was named, or the one beside the file.
fn signature(named: Option<&Path>, file: &Path) -> Result<Option<Vec<u8>>, PluginError> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".minisig");
    let beside = PathBuf::from(beside);
    let Some(path) = named.or_else(|| beside.is_file().then_some(&beside)) else { return Ok(None) };
    fs::read(path).map(Some).map_err(|cause| PluginError::Read { path: path.to_owned(), cause })
}

/// Uploads a component. The host compiles it before it answers.
pub(super) fn send(host: &Host, parcel: Parcel, screen: Screen) -> Result<Activation, Failure> {
    let mut query = vec![("digest", hex(&sha256(&parcel.wasm)))];
    query.extend(parcel.plan.then(|| ("plan", "true".to_owned())));
    query.extend(parcel.force.then(|| ("force", "true".to_owned())));
    if !parcel.grants.is_empty() {
        let names: Vec<&str> = parcel.grants.iter().map(Interface::name).collect();
        query.push(("grant", names.join(",")));
    }
    query.extend(parcel.signature.map(|bytes| ("signature", URL_SAFE_NO_PAD.encode(bytes))));
    let body = Some(Body::of("application/wasm", &parcel.wasm)?);
    let _note = screen.after_a_while("sending, and the host compiles it");
    host.ask(Ask { query, body, ..Ask::new(Method::POST, path(&parcel.tool, "")) })
}
