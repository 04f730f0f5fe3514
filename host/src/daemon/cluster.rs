//! The embedded cluster: registry and scheduler, bound before they serve.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ocho_local::registry::{Registry, RegistryConfig};
use ocho_local::scheduler::{Scheduler, SchedulerConfig};

use crate::config::{ClusterPlaces, ConfigError, check_folder};

/// The embedded cluster, bound and not yet serving.
pub(super) struct Cluster {
    pub(super) registry: Option<Registry>,
    pub(super) scheduler: Scheduler,
    /// Address of the registry that tasks register in.
    pub(super) zookeeper: String,
    // Gone with the cluster where the user named no folder.
    pub(super) temporary: Option<tempfile::TempDir>,
}

impl Cluster {
    /// `more` are words for hosts that run as tasks.
    pub(super) async fn bind(
        places: &ClusterPlaces,
        data: Option<&Path>,
        zookeeper: Option<String>,
        more: &[OsString],
    ) -> anyhow::Result<Self> {
        check_folder("--images", places.images.as_deref())?;
        let (data, temporary) = data_folder(data)?;
        let (registry, zookeeper) = match zookeeper {
            Some(external) => (None, external),
            None => {
                let config = RegistryConfig { data: Some(data.join("registry")), ..RegistryConfig::new(places.zookeeper) };
                let registry =
                    Registry::bind(config).await.map_err(|error| listen_error("--zookeeper", places.zookeeper, error))?;
                let address = registry.local_addr().to_string();
                (Some(registry), address)
            }
        };
        let this = std::env::current_exe()?;
        let shim = vec![this.clone().into_os_string(), "task-shim".into()];
        let config = SchedulerConfig {
            images: places.images.as_deref().map(std::path::absolute).transpose()?,
            builtin_images: [("servo".to_owned(), servo(&this, more))].into(),
            zookeeper: zookeeper.clone(),
            docker_socket: Some(places.docker.clone()),
            http_credentials: places.marathon_credentials.clone(),
            heavy_events: places.heavy_events,
            ..SchedulerConfig::new(places.marathon, data.join("scheduler"), shim)
        };
        let scheduler = Scheduler::bind(config).await.map_err(|error| listen_error("--marathon", places.marathon, error))?;
        Ok(Self { registry, scheduler, zookeeper, temporary })
    }
}

/// What the image `servo` runs: this program again, as a servo alone. It finds the cluster and its ports in its environment.
fn servo(this: &Path, more: &[OsString]) -> Vec<String> {
    let words = ["serve", "--only", "servo"].into_iter().map(OsString::from).chain(more.iter().cloned());
    let words = std::iter::once(this.as_os_str().to_owned()).chain(words);
    words.map(|word| word.to_string_lossy().into_owned()).collect()
}

/// A taken port is the user's to mend: exit code 2 and one sentence, whichever room found it.
fn listen_error<E: std::error::Error + Send + Sync + 'static>(
    option: &'static str,
    address: SocketAddr,
    error: E,
) -> anyhow::Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(one) = cause {
        if let Some(io) = one.downcast_ref::<std::io::Error>()
            && matches!(
                io.kind(),
                std::io::ErrorKind::AddrInUse | std::io::ErrorKind::AddrNotAvailable | std::io::ErrorKind::PermissionDenied
            )
        {
            let cause = std::io::Error::from(io.kind());
            return ConfigError::Listen { option, address, cause }.into();
        }
        cause = one.source();
    }
    anyhow::Error::new(error)
}

fn data_folder(data: Option<&Path>) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    match data {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|cause| ConfigError::Path {
                option: "--data",
                path: folder.to_owned(),
                cause,
            })?;
            Ok((std::path::absolute(folder)?, None))
        }
        None => {
            let folder = tempfile::Builder::new().prefix("ochod-").tempdir()?;
            Ok((folder.path().to_owned(), Some(folder)))
        }
    }
}
