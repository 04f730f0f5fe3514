//! The templates, and the folder that becomes of them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

use super::InitError;
use super::answers::{Image, Tag};

/// What a new pod is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A process that works on its own.
    Default,
    /// A web server with a port.
    Web,
}

/// A file of a template: where it goes, what it says, whether it is a program. `@tag@`, `@image@` and `@local@` are filled in.
type File = (&'static str, &'static str, Mode);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Text = 0o644,
    Program = 0o755,
}

const ENTRYPOINT: File = ("images/@local@/entrypoint", include_str!("../../templates/entrypoint"), Mode::Program);

const DEFAULT: [File; 6] = [
    ("README.md", include_str!("../../templates/default/README.md"), Mode::Text),
    ("@tag@.yml", include_str!("../../templates/default/definition.yml"), Mode::Text),
    ENTRYPOINT,
    ("images/@local@/pod.toml", include_str!("../../templates/default/pod.toml"), Mode::Text),
    ("images/@local@/work", include_str!("../../templates/default/work"), Mode::Program),
    ("images/@local@/Dockerfile", include_str!("../../templates/default/Dockerfile"), Mode::Text),
];

const WEB: [File; 6] = [
    ("README.md", include_str!("../../templates/web/README.md"), Mode::Text),
    ("@tag@.yml", include_str!("../../templates/web/definition.yml"), Mode::Text),
    ENTRYPOINT,
    ("images/@local@/pod.toml", include_str!("../../templates/web/pod.toml"), Mode::Text),
    ("images/@local@/serve", include_str!("../../templates/web/serve"), Mode::Program),
    ("images/@local@/Dockerfile", include_str!("../../templates/web/Dockerfile"), Mode::Text),
];

impl Kind {
    /// The templates' names, for messages.
    pub(super) fn names() -> &'static str {
        "`default` and `web`"
    }

    fn files(self) -> &'static [File] {
        match self {
            Self::Default => &DEFAULT,
            Self::Web => &WEB,
        }
    }
}

impl FromStr for Kind {
    type Err = InitError;

    fn from_str(name: &str) -> Result<Self, InitError> {
        match name {
            "default" => Ok(Self::Default),
            "web" => Ok(Self::Web),
            other => Err(InitError::NoTemplate(other.to_owned())),
        }
    }
}

/// Writes a new folder: all of it, or nothing.
pub(super) fn write(kind: Kind, tag: &Tag, image: &Image, folder: &Path) -> Result<(), InitError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| InitError::Write { path, cause }
    };
    if folder.symlink_metadata().is_ok() {
        return Err(InitError::Exists(folder.to_owned()));
    }
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // Beside its place, so that the last step is one rename.
    let draft = tempfile::Builder::new().prefix(".ocho-init-").tempdir_in(parent).map_err(failed(folder))?;
    for (path, text, mode) in kind.files() {
        let path = PathBuf::from(fill_in(path, tag, image));
        write_file(&draft.path().join(&path), &fill_in(text, tag, image), *mode).map_err(failed(&folder.join(&path)))?;
    }
    fs::set_permissions(draft.path(), fs::Permissions::from_mode(0o755)).map_err(failed(folder))?;
    fs::rename(draft.path(), folder).map_err(failed(folder))?;
    // It has moved: there is nothing left to remove.
    let _ = draft.keep();
    Ok(())
}

fn write_file(path: &Path, text: &str, mode: Mode) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode as u32))
}

fn fill_in(text: &str, tag: &Tag, image: &Image) -> String {
    text.replace("@tag@", tag.as_str()).replace("@image@", &image.to_string()).replace("@local@", image.local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_or_nothing() {
        let room = tempfile::tempdir().unwrap();
        let (tag, image) = ("shop".parse().unwrap(), "me/shop:1".parse().unwrap());
        let folder = room.path().join("it");
        write(Kind::Web, &tag, &image, &folder).unwrap();
        assert!(folder.join("images/shop/serve").metadata().unwrap().permissions().mode() & 0o111 != 0);
        let again = write(Kind::Web, &tag, &image, &folder).unwrap_err();
        assert!(matches!(again, InitError::Exists(_)));
        let nowhere = write(Kind::Web, &tag, &image, &room.path().join("no/such/it")).unwrap_err();
        assert!(matches!(nowhere, InitError::Write { .. }));
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1, "a draft is left");
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        let (tag, image): (Tag, Image) = ("shop".parse().unwrap(), "me/shop:1".parse().unwrap());
        for (path, text, mode) in [Kind::Default, Kind::Web].iter().flat_map(|kind| kind.files()) {
            let filled = fill_in(path, &tag, &image) + &fill_in(text, &tag, &image);
            assert!(!filled.contains('@'), "{path}: {filled}");
            assert_eq!(text.starts_with("#!/bin/sh\n"), *mode == Mode::Program, "{path}");
        }
    }
}
