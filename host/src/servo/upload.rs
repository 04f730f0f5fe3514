//! The upload of a bundle: the first file part named `tgz`, written to disk as it comes, its signature computed on the way.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest as _, Request};
use axum::http::{HeaderMap, header};
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
        // Of several the first counts.
        if bundle.is_none() && is_bundle(part.headers()) {
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

/// Whether a part is the file `tgz`; without a file name it is a text. Not left to the reader of multipart, which sees no file name
/// that is not UTF-8, and none that comes as `filename*`.
fn is_bundle(headers: &HeaderMap) -> bool {
    let Some(disposition) = headers.get(header::CONTENT_DISPOSITION) else { return false };
    let text = String::from_utf8_lossy(disposition.as_bytes());
    let (mut is_tgz, mut is_file) = (false, false);
    for (key, value) in text.split(separators()).skip(1).filter_map(|parameter| parameter.split_once('=')) {
        match key.trim().to_ascii_lowercase().as_str() {
            "name" => is_tgz = value.trim().trim_matches('"') == "tgz",
            "filename" | "filename*" => is_file = true,
            _ => {}
        }
    }
    is_tgz && is_file
}

/// Tells the semicolons between parameters from those in quotes.
fn separators() -> impl FnMut(char) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    move |c| {
        let was_escaped = is_escaped;
        is_escaped = c == '\\' && !was_escaped;
        is_quoted ^= c == '"' && !was_escaped;
        c == ';' && !is_quoted
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(disposition: &[u8]) -> bool {
        is_bundle(&[(header::CONTENT_DISPOSITION, HeaderValue::from_bytes(disposition).unwrap())].into_iter().collect())
    }

    #[test]
    fn parts_that_are_the_bundle() {
        for good in [
            &b"form-data; name=\"tgz\"; filename=\"upload.tgz\""[..],
            b"form-data; name=tgz; filename=upload.tgz",
            b"Form-Data; FILENAME=\"\" ;Name=\"tgz\"",
            b"form-data; filename=\"a;b=\\\"c;name=\"; name=\"tgz\"",
            b"form-data; name=\"tgz\"; filename=\"gr\xfc.tgz\"",
            b"form-data; name=\"tgz\"; filename*=utf-8''gr%C3%BC.tgz",
            b"form-data; name=\"tgz\"; filename=\"C:\\x\\u.tgz\"",
        ] {
            assert!(check(good), "{}", String::from_utf8_lossy(good));
        }
    }

    #[test]
    fn parts_that_are_not() {
        for other in [
            &b"form-data; name=\"tgz\""[..],
            b"form-data; name=\"TGZ\"; filename=\"x\"",
            b"form-data; filename=\"x\"",
            b"form-data; name=\"x\"; filename=\"; name=tgz\"",
            b"name=tgz",
            b"",
            b";;=;\"",
        ] {
            assert!(!check(other), "{}", String::from_utf8_lossy(other));
        }
        assert!(!is_bundle(&HeaderMap::new()));
    }
}
