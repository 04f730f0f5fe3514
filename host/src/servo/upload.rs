//! The upload of a bundle: the first file part named `tgz`, written to disk as it comes, its signature computed on the way.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest as _, Request};
use axum::http::{HeaderMap, StatusCode, header};
use ocho_core::signature::{Pieces, Token, hex};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::folders::JobFolders;
use crate::portal::BODY_BYTES;
use crate::room::Held;

/// An uploaded bundle.
pub(super) struct Upload {
    /// The archive, to be read from its start; it has no name, so nothing is left of it once it is closed.
    pub(super) archive: File,
    /// For the old signature.
    pub(super) pieces: Pieces,
    /// SHA-256 of the archive, in hexadecimal digits.
    pub(super) digest: String,
    /// Its part of the room for uploads, until somebody has vouched for it.
    pub(super) _room: Option<Held>,
}

/// Why there is no bundle. Told as an unexpected failure, as the original does.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("no multipart/form-data body: send the bundle as curl -F tgz=@upload.tgz does")]
    NotMultipart,
    #[error("no file part named tgz: send the bundle as curl -F tgz=@upload.tgz does")]
    NoBundle,
    #[error("{}", told(.0))]
    Multipart(#[from] MultipartError),
    #[error("the host takes no more uploads now; try again later")]
    Busy,
    #[error("the bundle cannot be kept: {0}")]
    Disk(#[from] std::io::Error),
}

fn told(error: &MultipartError) -> String {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => format!("the upload is larger than {} MiB", BODY_BYTES >> 20),
        _ => error.body_text(),
    }
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
    let (mut bytes, mut room) = (0, folders.room());
    while let Some(chunk) = part.chunk().await? {
        bytes += chunk.len();
        room.cover(bytes).map_err(|_| UploadError::Busy)?;
        pieces.update(&chunk);
        digest.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    let mut archive = file.into_std().await;
    archive.seek(SeekFrom::Start(0))?;
    Ok(Upload { archive, pieces, digest: hex(&digest.finalize()), _room: Some(room) })
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

    #[tokio::test]
    async fn uploads_share_their_room() {
        let place = tempfile::tempdir().unwrap();
        let folders = JobFolders::with_room(Some(place.path()), 2048).unwrap();
        let token = Token::new("secret").unwrap();
        let upload = async |bytes: usize| {
            let head = b"--x\r\nContent-Disposition: form-data; name=\"tgz\"; filename=\"u\"\r\n\r\n";
            let body = [&head[..], &vec![b'x'; bytes], b"\r\n--x--\r\n"].concat();
            let request = axum::http::Request::builder().header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
            receive(request.body(body.into()).unwrap(), &folders, &token).await
        };
        let first = upload(1 << 20).await.unwrap();
        assert!(matches!(upload((1 << 20) + 1).await, Err(UploadError::Busy)));
        let second = upload(1 << 20).await.unwrap();
        assert!(matches!(upload(1).await, Err(UploadError::Busy)));
        drop((first, second));
        assert!(upload((1 << 20) + 1).await.is_ok());
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
