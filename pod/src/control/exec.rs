//! `/exec`: a tool, its arguments, and files for it in a folder of its own.

use std::path::Path;
use std::time::Duration;

use axum::extract::{FromRequest, Multipart, Request};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tracing::warn;

use crate::control::Control;
use crate::control::answers::{bare, json};
use crate::control::body::UPLOAD_TIME;
use crate::tools::Limits;

/// Why the files of a request were not stored.
#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error("the file name `{0}` leads out of the folder")]
    Name(String),
    #[error("more than {0} files")]
    Files(usize),
    #[error("more than {0} bytes")]
    Bytes(u64),
    #[error("the files were not there within {} s", .0.as_secs())]
    Late(Duration),
    #[error("the form cannot be read: {0}")]
    Form(String),
    #[error("cannot store a file")]
    Io(#[from] std::io::Error),
}

impl UploadError {
    fn code(&self) -> StatusCode {
        match self {
            Self::Name(_) | Self::Form(_) => StatusCode::BAD_REQUEST,
            Self::Files(_) | Self::Bytes(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

pub(crate) async fn answer(control: &Control, request: Request) -> Response {
    let Some(line) = request.headers().get("x-shell") else { return bare(StatusCode::INTERNAL_SERVER_ERROR) };
    let line = String::from_utf8_lossy(line.as_bytes()).into_owned();
    let (name, arguments) = line.split_once(' ').unwrap_or((&line, ""));
    let Some(tool) = control.tools.find(name) else { return bare(StatusCode::NOT_FOUND) };
    let Some(_place) = control.tools.enter() else { return bare(StatusCode::SERVICE_UNAVAILABLE) };
    let folder = match tempfile::Builder::new().prefix("ochopod-").tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            warn!(%error, "cannot make a folder for a tool");
            return bare(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    if is_upload(request.headers())
        && let Err(error) = store_files_in_time(request, folder.path(), control.tools.limits()).await
    {
        warn!(tool = name, %error, "refused the files for a tool");
        return bare(error.code());
    }
    let output = tool.run(arguments, folder.path()).await;
    json(StatusCode::OK, &output)
}

fn is_upload(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
}

/// A caller who never ends must not keep a tool's place.
async fn store_files_in_time(request: Request, folder: &Path, limits: Limits) -> Result<(), UploadError> {
    let late = |_| UploadError::Late(UPLOAD_TIME);
    timeout(UPLOAD_TIME, store_files(request, folder, limits)).await.map_err(late)?
}

/// Stores every file under the name of its field. Fields that are no files are passed over.
async fn store_files(request: Request, folder: &Path, limits: Limits) -> Result<(), UploadError> {
    let form = |error: &dyn std::fmt::Display| UploadError::Form(error.to_string());
    let mut parts = Multipart::from_request(request, &()).await.map_err(|error| form(&error))?;
    let (mut files, mut bytes) = (0, 0);
    while let Some(mut part) = parts.next_field().await.map_err(|error| form(&error))? {
        if part.file_name().is_none() {
            continue;
        }
        files += 1;
        if files > limits.files {
            return Err(UploadError::Files(limits.files));
        }
        let name = part.name().unwrap_or_default().to_owned();
        if !is_plain(&name) {
            return Err(UploadError::Name(name));
        }
        let mut file = File::create(folder.join(name)).await?;
        while let Some(chunk) = part.chunk().await.map_err(|error| form(&error))? {
            bytes += chunk.len() as u64;
            if bytes > limits.upload_bytes {
                return Err(UploadError::Bytes(limits.upload_bytes));
            }
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
    }
    Ok(())
}

/// A name that can only be an entry of the folder itself.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}
