//! The host that a command is about, and its `/v1/tools`.

use clap::Args;
use ocho_core::ToolName;
use ocho_core::tools::{Activation, ToolAnswer, ToolDetail, ToolList};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::blame::Failure;
use crate::cli;
use crate::client::{Ask, Client, Scheme};
use crate::screen::Screen;
use crate::target::{Target, TargetError};
use crate::upload::Body;

/// Where a command goes, and for whom it prints.
#[derive(Debug, Clone, Args)]
pub(super) struct HostArguments {
    /// `<name or address>[:<port>]` of the host's portal; this machine without it
    #[arg(long, env = "OCHOPOD_PROXY", value_name = "HOST", default_value = "localhost")]
    pub(super) host: String,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl HostArguments {
    /// Prepares to call the host.
    pub(super) fn connect(&self) -> Result<Host, Failure> {
        if self.host.trim().is_empty() {
            return Err(TargetError::EmptyVariable.into());
        }
        let client = Client::new(Target::parse(self.host.trim())?, cli::token()?, Scheme::Whole)?;
        Ok(Host { client, runtime: cli::one_thread()? })
    }

    /// Prints a value for a program, or a text for people.
    pub(super) fn print(&self, screen: Screen, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        screen.result(&if self.json { ocho_core::json::to_line(value) } else { text() })
    }
}

/// A host whose tools are looked at or changed.
pub(super) struct Host {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Host {
    pub(super) fn list(&self) -> Result<ToolList, Failure> {
        self.ask(Ask::new(Method::GET, "/v1/tools"))
    }

    pub(super) fn tool(&self, tool: &ToolName) -> Result<ToolDetail, Failure> {
        let answer: ToolAnswer = self.ask(Ask::new(Method::GET, path(tool, "")))?;
        Ok(answer.tool)
    }

    /// Sends an order as JSON.
    pub(super) fn order(
        &self,
        method: Method,
        tool: &ToolName,
        what: &str,
        order: &impl Serialize,
    ) -> Result<Activation, Failure> {
        let text = serde_json::to_vec(order).expect("orders are plain values");
        let body = Some(Body::of("application/json", &text)?);
        self.ask(Ask { body, ..Ask::new(method, path(tool, what)) })
    }

    /// Asks something of `/v1/tools`.
    pub(super) fn ask<T: for<'de> Deserialize<'de>>(&self, ask: Ask) -> Result<T, Failure> {
        Ok(self.runtime.block_on(self.client.ask(ask))?)
    }

    /// To run commands on the same host.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// A tool's path, or one below it.
pub(super) fn path(tool: &ToolName, what: &str) -> String {
    format!("/v1/tools/{tool}{what}")
}
