//! Who vouches for the servers that jobs reach by `https`: the authorities that the system trusts, and those of the operator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

/// Read at the first request: the system's are hundreds, and most hosts never need them.
#[derive(Default)]
pub(super) struct Authorities {
    more: Vec<CertificateDer<'static>>,
    config: OnceCell<Option<Arc<ClientConfig>>>,
}

/// A file that holds no certificates.
#[derive(Debug, thiserror::Error)]
#[error("`{}` holds no certificates in PEM form{why}", path.display())]
pub struct NoCertificates {
    path: PathBuf,
    why: String,
}

impl Authorities {
    /// With those of the operator's file.
    pub(super) fn with(file: Option<&Path>) -> Result<Self, NoCertificates> {
        let Some(path) = file else { return Ok(Self::default()) };
        let wrong = |why: String| NoCertificates { path: path.to_owned(), why };
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let more = read.map_err(|error| wrong(format!(": {error}")))?;
        if more.is_empty() { Err(wrong(String::new())) } else { Ok(Self { more, config: OnceCell::new() }) }
    }

    /// What a connection needs; nothing where TLS cannot be set up.
    pub(super) async fn config(&self) -> Option<Arc<ClientConfig>> {
        let read = || async {
            let more = self.more.clone();
            tokio::task::spawn_blocking(move || client(more)).await.ok().flatten()
        };
        self.config.get_or_init(read).await.clone()
    }
}

fn client(more: Vec<CertificateDer<'static>>) -> Option<Arc<ClientConfig>> {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "authorities of the system cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (_, odd) = roots.add_parsable_certificates(system.certs.into_iter().chain(more));
    if odd > 0 {
        tracing::debug!(odd, "authorities that cannot be read are left out");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_without_certificates_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for content in ["", "hello", "-----BEGIN CERTIFICATE-----\nnonsense!\n-----END CERTIFICATE-----\n"] {
            std::fs::write(file.path(), content).unwrap();
            assert!(Authorities::with(Some(file.path())).is_err(), "{content}");
        }
        assert!(Authorities::with(Some(Path::new("/missing"))).is_err());
        assert!(Authorities::with(None).unwrap().config().await.is_some());
    }
}
