//! The client of Marathon.
//!
//! [`call`] asks one master after the other, [`masters`] says where they are, [`discovery`] looks them up, [`ids`] puts ids into paths, [`refusals`] reads
//! answers, [`events`] follows the event stream. App definitions are opaque JSON here.

mod call;
mod discovery;
mod events;
mod ids;
mod masters;
mod refusals;
mod sse;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use ocho_runtime::host::{Deployment, Marathon, MarathonEvent, MarathonResult, Problem};
use reqwest::{Certificate, Method, redirect};
use serde_json::{Value, json};

use call::{Call, Caller};
use events::StreamLimits;
pub use masters::Credentials;
use masters::Masters;

/// Where Marathon is, who we are, and how long to wait.
#[derive(Clone)]
pub struct MarathonConfig {
    /// Addresses: `[http[s]://][user:password@]host[:port][/path]`, several also in one text with commas between.
    pub masters: Vec<String>,
    /// A name that leads to all masters, `<name>[:<port>]`; looked up where none is named above.
    pub discovery: Option<String>,
    /// Goes before what an address holds.
    pub credentials: Option<Credentials>,
    /// Certificates (PEM) that alone vouch for masters with `https`. Without it the system's do.
    pub ca_file: Option<PathBuf>,
    /// How long a request may take in all. Default 10 s.
    pub timeout: Duration,
    /// How long a connection may take. Default 3 s.
    pub connect_timeout: Duration,
    /// How long the event stream may be silent. Default 60 s.
    pub events_silence: Duration,
    /// Bytes of an answer. Default 32 MiB.
    pub body_bytes: usize,
    /// Bytes of an event; a larger one is left out. Default 8 MiB, since old versions send all apps with each deployment.
    pub event_bytes: usize,
}

impl MarathonConfig {
    /// The defaults for these masters.
    pub fn new<T: Into<String>>(masters: impl IntoIterator<Item = T>) -> Self {
        Self {
            masters: masters.into_iter().map(Into::into).collect(),
            discovery: None,
            credentials: None,
            ca_file: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            events_silence: Duration::from_secs(60),
            body_bytes: 32 << 20,
            event_bytes: 8 << 20,
        }
    }
}

impl MarathonConfig {
    /// The masters, or the name that leads to them, without credentials.
    #[must_use]
    pub fn shown(&self) -> String {
        // Credentials may have commas of their own, so nothing before the last `@` is shown.
        let masters: Vec<&str> = self.masters.iter().map(|text| crate::net::without_user(text).trim()).collect();
        if masters.is_empty() { self.discovery.clone().unwrap_or_default() } else { masters.join(",") }
    }
}

impl fmt::Debug for MarathonConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masters = self.shown();
        out.debug_struct("MarathonConfig")
            .field("masters", &masters)
            .field("credentials", &self.credentials)
            .field("ca_file", &self.ca_file)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Why there is no client of Marathon. Texts hold no credentials.
#[derive(Debug, thiserror::Error)]
pub enum MarathonConfigError {
    /// No address at all.
    #[error("no address of Marathon is given")]
    NoMaster,
    /// An address that does not read as one.
    #[error("Marathon address `{0}` does not read as `[http[s]://]<host>[:<port>]`")]
    Address(String),
    /// A name that cannot be looked up.
    #[error("the name of Marathon's masters `{0}` does not read as `<name>[:<port>]`")]
    Name(String),
    /// Credentials that no header can carry.
    #[error("the credentials for Marathon have characters that cannot be sent")]
    Credentials,
    /// The file with certificates cannot be read.
    #[error("cannot read certificates from `{}`", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS for Marathon")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A running Marathon, asked over HTTP.
#[derive(Debug)]
pub struct MarathonClient {
    caller: Arc<Caller>,
    stream_limits: StreamLimits,
}

impl MarathonClient {
    /// A client that connects when it is asked to. It uses no proxy of the environment: masters are in the cluster.
    ///
    /// # Errors
    /// Where an address, the credentials or the certificates are no good.
    pub fn new(config: MarathonConfig) -> Result<Self, MarathonConfigError> {
        let (masters, in_address) = Masters::parse(&config.masters, config.discovery.as_deref())?;
        let credentials = config.credentials.or(in_address);
        if credentials.as_ref().is_some_and(|credentials| !credentials.can_be_sent()) {
            return Err(MarathonConfigError::Credentials);
        }
        let http = http_client(config.connect_timeout, config.ca_file.as_deref(), masters.any_https())?;
        let (within, body_bytes) = (config.timeout, config.body_bytes);
        let stream_limits = StreamLimits { silence: config.events_silence, event_bytes: config.event_bytes };
        Ok(Self { caller: Arc::new(Caller { http, masters, credentials, within, body_bytes }), stream_limits })
    }

    /// The masters, as `host:port,host:port`.
    #[must_use]
    pub fn masters(&self) -> String {
        self.caller.masters.names()
    }

    async fn text(&self, call: Call) -> MarathonResult<String> {
        refusals::text(self.caller.whole(&call).await?)
    }

    async fn change(&self, call: Call) -> MarathonResult<Deployment> {
        refusals::deployment(self.caller.whole(&call).await?)
    }

    async fn versions_of(&self, id: &str) -> MarathonResult<Vec<String>> {
        let text = self.text(Call::get(format!("{}/versions", ids::app_path(id)?))).await?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let listed = answer.get("versions").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| Problem::new("bad-answer", "Marathon's answer lists no versions"))?;
        let mut versions: Vec<String> = listed.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        // Newer Marathons give no order. The texts have one length and one time zone.
        versions.sort_unstable_by(|a, b| b.cmp(a));
        Ok(versions)
    }
}

/// Keeps no connections: Marathon is asked now and then, and a kept one that the master closed would leave open whether a
/// change arrived.
fn http_client(
    connect_timeout: Duration,
    ca_file: Option<&Path>,
    any_https: bool,
) -> Result<reqwest::Client, MarathonConfigError> {
    // Somebody else may have installed one; then it is that one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("ocho/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(0)
        .no_proxy();
    if let Some(path) = ca_file {
        builder = builder.tls_certs_only(certificates(path)?);
    } else if !any_https {
        // Spares us the system's certificates, which take time to load and are missing in small images.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| MarathonConfigError::Tls(error.into()))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, MarathonConfigError> {
    let unreadable = |cause| MarathonConfigError::CaFile { path: path.to_owned(), cause };
    let pem = std::fs::read(path).map_err(|error| unreadable(error.into()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(error.into()))?;
    if certificates.is_empty() { Err(unreadable("there is none in it".into())) } else { Ok(certificates) }
}

impl Marathon for MarathonClient {
    fn apps(&self, query: Vec<(String, String)>) -> BoxFuture<'_, MarathonResult<String>> {
        self.text(Call { query, ..Call::get("/v2/apps") }).boxed()
    }

    fn app(&self, id: String) -> BoxFuture<'_, MarathonResult<String>> {
        async move { self.text(Call::get(ids::app_path(&id)?)).await }.boxed()
    }

    fn versions(&self, id: String) -> BoxFuture<'_, MarathonResult<Vec<String>>> {
        async move { self.versions_of(&id).await }.boxed()
    }

    fn version(&self, id: String, version: String) -> BoxFuture<'_, MarathonResult<String>> {
        async move {
            let path = format!("{}/versions", ids::app_path(&id)?);
            self.text(Call::get(ids::below(&path, "version", &version)?)).await
        }
        .boxed()
    }

    fn tasks(&self, id: Option<String>) -> BoxFuture<'_, MarathonResult<String>> {
        async move {
            let path = match id {
                Some(id) => format!("{}/tasks", ids::app_path(&id)?),
                None => "/v2/tasks".to_owned(),
            };
            self.text(Call::get(path)).await
        }
        .boxed()
    }

    fn deployments(&self) -> BoxFuture<'_, MarathonResult<String>> {
        self.text(Call::get("/v2/deployments")).boxed()
    }

    fn queue(&self) -> BoxFuture<'_, MarathonResult<String>> {
        self.text(Call::get("/v2/queue")).boxed()
    }

    fn events(&self, kinds: Vec<String>) -> BoxStream<'static, MarathonResult<MarathonEvent>> {
        events::follow(Arc::clone(&self.caller), kinds, self.stream_limits).boxed()
    }

    fn create_app(&self, definition: String) -> BoxFuture<'_, MarathonResult<String>> {
        self.text(Call::new(Method::POST, "/v2/apps").with_body(definition)).boxed()
    }

    fn update_app(&self, id: String, change: String, force: bool) -> BoxFuture<'_, MarathonResult<Deployment>> {
        async move {
            let call = Call::new(Method::PUT, ids::app_path(&id)?);
            self.change(call.with_flag("force", force).with_body(change)).await
        }
        .boxed()
    }

    fn restart_app(&self, id: String, force: bool) -> BoxFuture<'_, MarathonResult<Deployment>> {
        async move {
            let call = Call::new(Method::POST, format!("{}/restart", ids::app_path(&id)?));
            self.change(call.with_flag("force", force)).await
        }
        .boxed()
    }

    fn delete_app(&self, id: String, force: bool) -> BoxFuture<'_, MarathonResult<Deployment>> {
        async move {
            // Said either way: this is the one request where Marathon takes silence for `force=true`.
            let call = Call::new(Method::DELETE, ids::app_path(&id)?).with_flag("force", force);
            self.change(call).await
        }
        .boxed()
    }

    fn kill_tasks(&self, ids: Vec<String>, scale: bool, wipe: bool) -> BoxFuture<'_, MarathonResult<String>> {
        let call = Call::new(Method::POST, "/v2/tasks/delete").with_body(json!({ "ids": ids }).to_string());
        let call = if scale { call.with_flag("scale", true) } else { call };
        self.text(if wipe { call.with_flag("wipe", true) } else { call }).boxed()
    }

    fn cancel_deployment(&self, id: String, force: bool) -> BoxFuture<'_, MarathonResult<()>> {
        async move {
            let call = Call::new(Method::DELETE, ids::below("/v2/deployments", "deployment", &id)?);
            self.text(call.with_flag("force", force)).await.map(drop)
        }
        .boxed()
    }
}
