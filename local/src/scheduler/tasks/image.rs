//! Images that are not Docker's: a folder with a program in it, or one that came with the scheduler.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What an image is here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LocalImage {
    /// `<images>/<name>/entrypoint`.
    Folder { folder: PathBuf, entrypoint: PathBuf },
    /// A command that the scheduler was given for this name.
    BuiltIn(Vec<String>),
}

/// The name of a local image: the last part of the path, without tag and digest.
/// `registry.local:5000/team/web:1.2@sha256:...` is `web`.
pub(crate) fn name_of(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(image, _digest)| image);
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split_once(':').map_or(last, |(name, _tag)| name)
}

/// Finds the local image of a name. Folders win over built-in ones, so that a person can replace those.
pub(crate) fn find(image: &str, images: Option<&Path>, built_in: &BTreeMap<String, Vec<String>>) -> Option<LocalImage> {
    let name = name_of(image);
    if name.is_empty() || name.starts_with('.') || name.contains('\0') {
        return None;
    }
    let folder = images.map(|images| images.join(name)).filter(|folder| is_program(&folder.join("entrypoint")));
    match folder {
        Some(folder) => Some(LocalImage::Folder { entrypoint: folder.join("entrypoint"), folder }),
        None => built_in.get(name).cloned().map(LocalImage::BuiltIn),
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Says both ways in which the image could be had.
pub(crate) fn missing(image: &str, images: Option<&Path>, socket: Option<&Path>) -> String {
    let name = name_of(image);
    let folder = match images {
        Some(images) => format!("put an executable `{}`", images.join(name).join("entrypoint").display()),
        None => format!("start with `--images DIR` and put an executable `DIR/{name}/entrypoint`"),
    };
    let engine = match socket {
        Some(socket) => format!("start Docker so that it answers at `{}`", socket.display()),
        None => "start Docker".to_owned(),
    };
    format!("there is no local image `{name}` for `{image}`, and no Docker engine answers: {folder}, or {engine}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (image, name) in [
            ("web", "web"),
            ("web:1.2", "web"),
            ("team/web:latest", "web"),
            ("registry.local:5000/team/web", "web"),
            ("registry.local:5000/team/web:1@sha256:ab", "web"),
            ("", ""),
        ] {
            assert_eq!(name_of(image), name, "{image}");
        }
    }

    #[test]
    fn folders_win_and_nothing_climbs_out() {
        let home = tempfile::tempdir().expect("a folder");
        let built_in = BTreeMap::from([("web".to_owned(), vec!["serve".to_owned()])]);
        assert_eq!(find("web:1", Some(home.path()), &built_in), Some(LocalImage::BuiltIn(vec!["serve".into()])));
        let entrypoint = home.path().join("web/entrypoint");
        std::fs::create_dir(home.path().join("web")).expect("made");
        std::fs::write(&entrypoint, "#!/bin/sh\n").expect("written");
        assert_eq!(find("web", Some(home.path()), &BTreeMap::new()), None, "not executable yet");
        std::fs::set_permissions(&entrypoint, PermissionsExt::from_mode(0o755)).expect("set");
        assert!(matches!(find("x/web:1", Some(home.path()), &built_in), Some(LocalImage::Folder { .. })));
        for bad in ["..", "a/..", "", "."] {
            assert_eq!(find(bad, Some(home.path()), &built_in), None, "{bad}");
        }
    }
}
