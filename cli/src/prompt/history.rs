//! The lines of earlier conversations, in a file that only the user can read: a line may hold a secret.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use reedline::FileBackedHistory;

const LINES: usize = 10_000;

/// Opens the history.
pub(super) fn open() -> io::Result<FileBackedHistory> {
    let file = file().ok_or_else(|| io::Error::other("there is no home folder"))?;
    prepare(&file)?;
    FileBackedHistory::with_file(LINES, file).map_err(io::Error::other)
}

/// `$XDG_STATE_HOME/ocho/history`, else below the home folder.
fn file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))?;
    Some(state.join("ocho/history"))
}

fn prepare(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_user_can_read_it() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("state/ocho/history");
        prepare(&file).unwrap();
        prepare(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
