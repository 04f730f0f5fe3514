//! Uploaded files: each part of a multipart body that has a filename, under its field's name.

use std::collections::BTreeSet;

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest as _, Request};
use axum::http::header;
use ocho_runtime::{FolderError, WorkFolder};
use tokio::io::AsyncWriteExt as _;

use crate::runs::Runs;

/// Files of one request.
const FILES: usize = 1000;

/// Why a body cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("failure -> upload refused: {}", .0.body_text())]
    Multipart(#[from] MultipartError),
    #[error("failure -> upload refused: {0}")]
    NotMultipart(String),
    #[error("failure -> upload refused: file name `{0}` must be a plain name, without `/` and not `.` or `..`")]
    Name(String),
    #[error("failure -> upload refused: more than {FILES} files")]
    TooMany,
    #[error("unexpected failure -> {0}")]
    Folder(#[from] FolderError),
    #[error("unexpected failure -> {0}")]
    Disk(#[from] std::io::Error),
}

/// Takes the files out of a request; nothing where it has none. A part without a filename is ignored, and so is any other body.
pub(super) async fn receive(runs: &Runs, request: Request) -> Result<Option<WorkFolder>, UploadError> {
    if !is_multipart(&request) {
        return Ok(None);
    }
    let mut parts =
        Multipart::from_request(request, &()).await.map_err(|rejected| UploadError::NotMultipart(rejected.body_text()))?;
    let mut folder = None;
    let mut taken = BTreeSet::new();
    while let Some(part) = parts.next_field().await? {
        let (Some(name), Some(_)) = (part.name().map(str::to_owned), part.file_name()) else { continue };
        check_name(&name)?;
        if taken.len() >= FILES {
            return Err(UploadError::TooMany);
        }
        // Of parts with one name the first wins.
        if taken.insert(name.clone()) {
            let folder = match &mut folder {
                Some(folder) => folder,
                none => none.insert(runs.folder()?),
            };
            write(folder, &name, part).await?;
        }
    }
    Ok(folder)
}

fn is_multipart(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"))
}

fn check_name(name: &str) -> Result<(), UploadError> {
    let odd = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) || name.len() > 255;
    if odd { Err(UploadError::Name(name.to_owned())) } else { Ok(()) }
}

async fn write(folder: &WorkFolder, name: &str, mut part: Field<'_>) -> Result<(), UploadError> {
    let mut file = tokio::fs::File::create_new(folder.path().join(name)).await?;
    while let Some(chunk) = part.chunk().await? {
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok(())
}
