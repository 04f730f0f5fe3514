//! From the words of a command to the files that go with it, and to the words that are sent instead.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Kind, Position, Upload, UploadError, is_path, positions};

/// The words to send and the uploads that they name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) words: Vec<String>,
    pub(crate) uploads: Vec<Upload>,
    /// Words of `deploy` that should name files and name none. They are sent as they are.
    pub(crate) missing: Vec<String>,
}

/// Looks for the words that name files or folders of this machine. `home` is what `~` stands for.
pub(crate) fn find(words: &[String], home: Option<&Path>) -> Result<Found, UploadError> {
    let mut found = Found { words: Vec::new(), uploads: Vec::new(), missing: Vec::new() };
    let is_deploy = words.first().is_some_and(|tool| tool == "deploy");
    for (word, position) in words.iter().zip(positions(words)) {
        let from = match position {
            Position::File { from } => from,
            Position::Path if is_path(word) => 0,
            Position::Path | Position::Plain => {
                found.words.push(word.clone());
                continue;
            }
        };
        let (option, shown) = word.split_at(from);
        match look_at(shown, home)? {
            Some(upload) => {
                let name = found.take(upload)?;
                found.words.push(format!("{option}{name}"));
            }
            None => {
                if is_deploy {
                    found.missing.push(shown.to_owned());
                }
                found.words.push(word.clone());
            }
        }
    }
    Ok(found)
}

impl Found {
    /// Adds an upload, once however often it is named, and gives its name on the host.
    fn take(&mut self, upload: Upload) -> Result<String, UploadError> {
        let name = upload.name.clone();
        match self.uploads.iter().find(|other| other.name == name) {
            None => self.uploads.push(upload),
            Some(same) if same.path == upload.path => {}
            Some(other) => {
                return Err(UploadError::SameName { name, first: other.shown.clone(), second: upload.shown });
            }
        }
        Ok(name)
    }
}

/// The file or folder that a word names, if it names one.
fn look_at(shown: &str, home: Option<&Path>) -> Result<Option<Upload>, UploadError> {
    if shown.is_empty() || shown.contains('\0') {
        return Ok(None);
    }
    let spelled = expand_home(shown, home);
    let metadata = match std::fs::metadata(&spelled) {
        Ok(metadata) => metadata,
        Err(cause) if is_no_file(cause.kind()) => return Ok(None),
        Err(cause) => return Err(UploadError::Unreadable { path: shown.to_owned(), cause }),
    };
    let unreadable = |cause| UploadError::Unreadable { path: shown.to_owned(), cause };
    let path = std::fs::canonicalize(&spelled).map_err(unreadable)?;
    let kind = match metadata {
        it if it.is_file() => Kind::File,
        it if it.is_dir() => Kind::Folder,
        _ => return Err(UploadError::Special(shown.to_owned())),
    };
    // The name as spelled, not the one behind a link; `.` and `..` have only the resolved one.
    let base = spelled.file_name().filter(|_| !ends_in_dots(shown)).or_else(|| path.file_name());
    let name = name_on_host(base, kind).map_err(|rule| UploadError::Name { path: shown.to_owned(), rule })?;
    Ok(Some(Upload { name, shown: shown.to_owned(), path, kind }))
}

/// Whether a word that the system refuses like this names no file at all, such as a long text.
fn is_no_file(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename)
}

fn ends_in_dots(shown: &str) -> bool {
    matches!(shown.trim_end_matches('/').rsplit('/').next(), Some("." | ".."))
}

fn expand_home(shown: &str, home: Option<&Path>) -> PathBuf {
    match (shown.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(shown),
    }
}

/// The last part of a path as a name on the host: it has to survive a header, a word and a file system there.
fn name_on_host(base: Option<&OsStr>, kind: Kind) -> Result<String, &'static str> {
    let base = base.ok_or("it has none; name a folder inside it")?;
    let base = base.to_str().ok_or("it is not text in UTF-8")?;
    if base.chars().any(char::is_control) {
        return Err("it has a line break or another control character");
    }
    if base.contains(['"', '\\']) {
        return Err("it has a quote or a backslash");
    }
    if base.starts_with('-') {
        return Err("it begins with `-` and would be read as an option");
    }
    if base.len() > 200 {
        return Err("it is longer than 200 bytes");
    }
    Ok(match kind {
        Kind::File => base.to_owned(),
        Kind::Folder => format!("{base}.tgz"),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    struct Room(tempfile::TempDir);

    impl Room {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        /// Makes a file, or a folder where the path ends in `/`.
        fn with(self, path: &str) -> Self {
            let full = self.0.path().join(path);
            if path.ends_with('/') {
                std::fs::create_dir_all(full).unwrap();
            } else {
                std::fs::create_dir_all(full.parent().unwrap()).unwrap();
                std::fs::write(full, "x").unwrap();
            }
            self
        }

        /// Looks for files; `@` stands for the room.
        fn find(&self, line: &str) -> Result<Found, UploadError> {
            let at = self.0.path().to_str().unwrap();
            let words: Vec<String> = line.split(' ').map(|word| word.replace('@', at)).collect();
            find(&words, Some(self.0.path()))
        }

        #[track_caller]
        fn check(&self, line: &str, sent: &str, names: &[&str]) {
            let found = self.find(line).unwrap();
            assert_eq!(found.words.join(" "), sent);
            assert_eq!(found.uploads.iter().map(|upload| upload.name.as_str()).collect::<Vec<_>>(), names);
        }

        #[track_caller]
        fn refused(&self, line: &str) -> String {
            self.find(line).unwrap_err().to_string().replace(self.0.path().to_str().unwrap(), "@")
        }
    }

    #[test]
    fn words_become_names() {
        let room = Room::new().with("a/web.yml").with("dev/x");
        room.check("deploy @/a/web.yml -p 2", "deploy web.yml -p 2", &["web.yml"]);
        room.check("deploy ~/a/web.yml ~/dev/", "deploy web.yml dev.tgz", &["web.yml", "dev.tgz"]);
        room.check("exec web run @/dev/../dev", "exec web run dev.tgz", &["dev.tgz"]);
        room.check("exec web run @/dev/.", "exec web run dev.tgz", &["dev.tgz"]);
        room.check("deploy -o@/a/web.yml", "deploy -oweb.yml", &["web.yml"]);
        room.check("mine @/a/web.yml", "mine web.yml", &["web.yml"]);
        let as_typed = room.find("grep @/dev").unwrap();
        assert_eq!(as_typed.uploads, []);
    }

    #[test]
    fn what_is_missing_is_sent_as_it_is_and_told() {
        let room = Room::new().with("a");
        let found = room.find("deploy gone.yml").unwrap();
        assert_eq!((found.words.join(" ").as_str(), found.missing), ("deploy gone.yml", vec!["gone.yml".to_owned()]));
        room.check("mine /no/such/path", "mine /no/such/path", &[]);
        let long = "x".repeat(5000);
        room.check(&format!("exec web run {long}"), &format!("exec web run {long}"), &[]);
        let below_a_file = room.find("deploy @/a/b").unwrap();
        assert_eq!(below_a_file.uploads, []);
    }

    #[test]
    fn q36_one_name_twice_is_refused_and_one_file_twice_is_sent_once() {
        let room = Room::new().with("a/m.yml").with("b/m.yml").with("c/d/").with("c/d.tgz");
        room.check("deploy @/a/m.yml @/b/../a/m.yml", "deploy m.yml m.yml", &["m.yml"]);
        assert_eq!(
            room.refused("deploy @/a/m.yml @/b/m.yml"),
            "`@/a/m.yml` and `@/b/m.yml` would both be called `m.yml` on the host"
        );
        assert_eq!(room.refused("deploy @/c/d @/c/d.tgz"), "`@/c/d` and `@/c/d.tgz` would both be called `d.tgz` on the host");
    }

    #[test]
    fn hostile_names_are_refused() {
        let room = Room::new().with("-x.yml").with("a\"b").with("a\nb").with("a\\b");
        assert_eq!(
            room.refused("deploy @/-x.yml"),
            "`@/-x.yml` cannot be sent under its name: it begins with `-` and would be read as an option"
        );
        for (name, rule) in [("a\"b", "a quote"), ("a\nb", "a line break"), ("a\\b", "a backslash")] {
            assert!(room.refused(&format!("deploy @/{name}")).contains(rule), "{name}");
        }
        assert_eq!(room.refused("mine /."), "`/.` cannot be sent under its name: it has none; name a folder inside it");
        assert_eq!(name_on_host(Some(OsStr::from_bytes(b"a\xff")), Kind::File), Err("it is not text in UTF-8"));
    }

    #[test]
    fn what_is_no_file_and_no_folder_is_refused() {
        let room = Room::new();
        let _socket = UnixListener::bind(room.0.path().join("s")).unwrap();
        assert_eq!(room.refused("deploy @/s"), "`@/s` is neither a file nor a folder");
    }
}
