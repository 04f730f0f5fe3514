//! Reading scenes: one file, or all of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::SceneError;
use super::format::SceneFile;

/// A scene with where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// The stem of its file.
    pub(crate) name: String,
    /// Files are named relative to this.
    pub(crate) folder: PathBuf,
    pub(crate) file: SceneFile,
}

/// How many scenes may stand `from` behind each other.
const FROM_MOST: usize = 8;

/// No scene is larger: what is, is no scene.
const BYTES_MOST: u64 = 16 << 20;

/// Reads one scene, with what it takes from others.
pub(crate) fn load(path: &Path) -> Result<Scene, SceneError> {
    let mut file = read(path)?;
    let mut at = path.to_owned();
    for _ in 0..FROM_MOST {
        let Some(from) = file.from.take() else { return Ok(scene(path, file)) };
        at = at.parent().unwrap_or(Path::new("")).join(from);
        let mut base = read(&at)?;
        file.from = base.from.take();
        file.complete_with(base);
    }
    Err(SceneError::TooDeep { path: path.to_owned(), most: FROM_MOST })
}

/// Reads the scenes of a folder whose names contain `filter`, sorted by name.
pub(crate) fn load_all(folder: &Path, filter: Option<&str>) -> Result<Vec<Scene>, SceneError> {
    let failed = |cause| SceneError::Read { path: folder.to_owned(), cause };
    let mut paths = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    paths.sort();
    if paths.is_empty() {
        return Err(SceneError::None(folder.to_owned()));
    }
    if let Some(filter) = filter {
        paths.retain(|path| name(path).contains(filter));
        if paths.is_empty() {
            return Err(SceneError::NoMatch(filter.to_owned()));
        }
    }
    paths.iter().map(|path| load(path)).collect()
}

fn scene(path: &Path, file: SceneFile) -> Scene {
    Scene { name: name(path), folder: path.parent().unwrap_or(Path::new("")).to_owned(), file }
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<SceneFile, SceneError> {
    let failed = |cause| SceneError::Read { path: path.to_owned(), cause };
    let wrong = |why: String| SceneError::Syntax { path: path.to_owned(), why };
    if fs::metadata(path).map_err(failed)?.len() > BYTES_MOST {
        return Err(wrong(format!("it is larger than {} MiB", BYTES_MOST >> 20)));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let file: SceneFile = toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
    check(&file).map_err(wrong)?;
    Ok(file)
}

/// What the format alone does not rule out.
fn check(file: &SceneFile) -> Result<(), String> {
    if file.run.line.is_some() && !file.run.args.is_empty() {
        return Err("`run` has both `args` and `line`".to_owned());
    }
    for pod in file.pod.iter().flatten() {
        if pod.seq.is_some() != pod.seqs.is_empty() {
            return Err(format!("a pod of `{}` needs either `seq` or `seqs`", pod.cluster));
        }
        if pod.task.is_some() && pod.seqs.len() > 1 {
            return Err(format!("several pods of `{}` cannot be one task", pod.cluster));
        }
    }
    for refuse in file.marathon.iter().flat_map(|marathon| &marathon.refuse) {
        if refuse.status.is_some() == refuse.fails.is_some() {
            return Err(format!("the refusal of `{}` needs either `status` or `fails`", refuse.request));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_scene_takes_the_cluster_of_another() {
        let folder = folder(&[
            ("base.toml", "[[pod]]\ncluster = 'test.web'\nseq = 1\n[registry]\nfails = 'x'\n[expect]\nout = 'base'"),
            ("a.toml", "from = 'base.toml'\n[run]\nline = 'x'\n[registry]"),
        ]);
        let scenes = load_all(folder.path(), None).unwrap();
        assert_eq!(scenes.iter().map(|scene| scene.name.as_str()).collect::<Vec<_>>(), ["a", "base"]);
        let file = &scenes[0].file;
        assert_eq!(file.pod.as_ref().map(Vec::len), Some(1));
        assert_eq!((file.registry.as_ref().unwrap().fails.as_ref(), &file.expect.out), (None, &None));
        assert_eq!(load_all(folder.path(), Some("as")).unwrap().len(), 1);
        assert!(matches!(load_all(folder.path(), Some("zz")), Err(SceneError::NoMatch(_))));
    }

    #[test]
    fn what_is_no_scene_is_told() {
        let deep = "from = 'deep.toml'";
        let folder = folder(&[
            ("deep.toml", deep),
            ("missing.toml", "from = 'nothing.toml'"),
            ("unknown.toml", "[run]\nargz = []"),
            ("both.toml", "[run]\nline = 'a'\nargs = ['b']"),
            ("pod.toml", "[[pod]]\ncluster = 'test.web'"),
            ("name.toml", "[[pod]]\ncluster = 'a b'\nseq = 1"),
            ("refuse.toml", "[[marathon.refuse]]\nrequest = 'PUT'"),
            ("garbage.toml", "\u{0}]]]["),
        ]);
        let text = |name: &str| load(&folder.path().join(name)).unwrap_err().to_string();
        assert!(text("deep.toml").contains("`from` itself"));
        assert!(text("missing.toml").starts_with("cannot read `"));
        assert!(text("unknown.toml").contains("unknown field `argz`"), "{}", text("unknown.toml"));
        assert!(text("both.toml").ends_with("`run` has both `args` and `line`"));
        assert!(text("pod.toml").ends_with("needs either `seq` or `seqs`"));
        assert!(text("name.toml").contains("a b"), "{}", text("name.toml"));
        assert!(text("refuse.toml").ends_with("needs either `status` or `fails`"));
        assert!(text("garbage.toml").contains("does not read as a scene"));
        fs::write(folder.path().join("bytes.toml"), [0xff, 0xfe, 0x00]).unwrap();
        assert!(text("bytes.toml").starts_with("cannot read `"));
    }
}
