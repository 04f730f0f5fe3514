//! Encrypted files of a bundle: each `<name>.aes` at its top becomes `<name>` beside it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use ocho_core::aes::{self, DecryptError};
use ocho_core::signature::Token;

use super::folders::JobFolders;
use crate::masks::secrets_in;

/// The largest file that is decrypted, and all of a bundle together; a secret is small, and each line of it is looked for in
/// what the jobs print.
const FILE_BYTES: u64 = 1 << 20;
const ALL_BYTES: u64 = 2 << 20;

/// Why a bundle's secrets cannot be read. Tells the file, never its content.
#[derive(Debug, thiserror::Error)]
#[error("unable to decrypt {file}: {why}")]
pub(super) struct SecretError {
    file: String,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    #[error("it is larger than {} MiB, or all encrypted files together are larger than {} MiB", FILE_BYTES >> 20, ALL_BYTES >> 20)]
    TooLarge,
    #[error("{0}")]
    Disk(#[from] io::Error),
}

/// What came of a bundle's encrypted files.
#[derive(Debug, Default)]
pub(super) struct Decrypted {
    /// Their names, sorted.
    pub(super) names: Vec<String>,
    /// What nobody may read in a log.
    pub(super) secrets: Vec<String>,
}

/// Decrypts all, in the order of their names. Blocks.
pub(super) fn decrypt_all(folder: &Path, token: &Token, folders: &JobFolders) -> Result<Decrypted, SecretError> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .map_err(|cause| SecretError { file: ".".to_owned(), why: cause.into() })?
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| clear_name(name).is_some())
        .collect();
    names.sort();
    let (mut secrets, mut left) = (Vec::new(), ALL_BYTES);
    for name in &names {
        let found = decrypt(folder, name, token, folders, &mut left);
        secrets.extend(found.map_err(|why| SecretError { file: name.clone(), why })?);
    }
    Ok(Decrypted { names, secrets })
}

/// The name without its ending; `.aes` alone is a hidden file.
fn clear_name(name: &str) -> Option<&str> {
    name.strip_suffix(".aes").filter(|clear| !clear.is_empty())
}

/// Decrypts one file and gives the secrets in it.
fn decrypt(folder: &Path, name: &str, token: &Token, folders: &JobFolders, left: &mut u64) -> Result<Vec<String>, Why> {
    let path = folder.join(name);
    let bytes = fs::metadata(&path)?.len();
    if bytes > FILE_BYTES || bytes > *left {
        return Err(Why::TooLarge);
    }
    *left -= bytes;
    let content = aes::decrypt(token, &fs::read(&path)?)?.content;
    // Beside and renamed: half a secret is never seen, and nothing is left behind.
    let mut file = folders.beside()?;
    file.write_all(&content)?;
    file.persist(folder.join(clear_name(name).unwrap_or(name))).map_err(|error| error.error)?;
    Ok(secrets_in(&content))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "edAZR8atfOahd7tfPnVo3xpJX+ks6wsV";
    const V1_MD5: &str = "U2FsdGVkX18BAgMEBQYHCPBjFcfZbQeN8mjPNvBI+g8=\n";
    const V1_SHA256: &str = "U2FsdGVkX18BAgMEBQYHCDYUXW2YtQwz/PuBDZpKZy4=\n";

    fn decrypted(files: &[(&str, &str)], token: &str) -> (tempfile::TempDir, Result<Vec<String>, String>) {
        let room = tempfile::tempdir().unwrap();
        let folders = JobFolders::open(Some(room.path())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        fs::create_dir(folder.path().join("d.aes")).unwrap();
        let done = decrypt_all(folder.path(), &Token::new(token).unwrap(), &folders);
        let done = done.map(|done| done.names).map_err(|error| error.to_string());
        (folder, done)
    }

    #[test]
    fn files_at_the_top_are_decrypted_in_order() {
        let files = [("z.yml.aes", V1_MD5), ("foo.yml.aes", V1_SHA256), (".hid.aes", V1_MD5), ("sp ace.aes", V1_MD5)];
        let untouched = [("X.AES", "x"), (".aes", "x"), ("foo.yml", "overwritten")];
        let (folder, done) = decrypted(&[&files[..], &untouched[..]].concat(), TOKEN);
        assert_eq!(done.unwrap(), [".hid.aes", "foo.yml.aes", "sp ace.aes", "z.yml.aes"]);
        for clear in [".hid", "foo.yml", "sp ace", "z.yml"] {
            assert_eq!(fs::read_to_string(folder.path().join(clear)).unwrap(), "key: value\n");
        }
        assert!(folder.path().join("foo.yml.aes").exists() && !folder.path().join("d").exists());
    }

    #[test]
    fn one_that_fails_is_named_and_leaves_nothing() {
        let (folder, done) = decrypted(&[("foo.yml.aes", V1_MD5)], "wrong");
        let said = done.unwrap_err();
        assert!(said.starts_with("unable to decrypt foo.yml.aes: the token does not fit"), "{said}");
        assert!(!folder.path().join("foo.yml").exists());
        let (_, done) = decrypted(&[("empty.aes", "")], TOKEN);
        assert_eq!(done.unwrap_err(), "unable to decrypt empty.aes: it is empty");
    }
}
