//! The upload of a bundle: the first file part named `tgz`, written to disk as it comes, its signature computed on the way.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest as _, Request};
use ocho_core::signature::{Pieces, Token, hex};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::folders::JobFolders;

/// An uploaded bundle.
pub(super) struct Upload {
    /// The archive, to be read from its start; it has no name, so nothing is left of it once it is closed.
    pub(super) archive: File,
    /// For the old signature.
    pub(super) pieces: Pieces,
    /// SHA-256 of the archive, in hexadecimal digits.
    pub(super) digest: String,
}

/// Why there is no bundle. Told as an unexpected failure, as the original does.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("no multipart/form-data body: send the bundle as curl -F tgz=@upload.tgz does")]
    NotMultipart,
    #[error("no file part named tgz: send the bundle as curl -F tgz=@upload.tgz does")]
    NoBundle,
    #[error("{}", .0.body_text())]
    Multipart(#[from] MultipartError),
    #[error("the bundle cannot be kept: {0}")]
    Disk(#[from] std::io::Error),
}

/// Reads a request to its end.
pub(super) async fn receive(request: Request, folders: &JobFolders, token: &Token) -> Result<Upload, UploadError> {
    let mut parts = Multipart::from_request(request, &()).await.map_err(|_| UploadError::NotMultipart)?;
    let mut bundle = None;
    while let Some(part) = parts.next_field().await? {
        // Of several the first counts, and a part without a file name is no file.
        if bundle.is_none() && part.name() == Some("tgz") && part.file_name().is_some() {
            bundle = Some(keep(part, folders, token).await?);
        }
    }
    bundle.ok_or(UploadError::NoBundle)
}

async fn keep(mut part: Field<'_>, folders: &JobFolders, token: &Token) -> Result<Upload, UploadError> {
    let (mut pieces, mut digest) = (token.pieces(), Sha256::new());
    let mut file = tokio::fs::File::from_std(folders.spool()?);
    while let Some(chunk) = part.chunk().await? {
        pieces.update(&chunk);
        digest.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    let mut archive = file.into_std().await;
    archive.seek(SeekFrom::Start(0))?;
    Ok(Upload { archive, pieces, digest: hex(&digest.finalize()) })
}
