//! The beginnings of a plugin: which files, and what they say.

use std::path::Path;
use std::{fs, io};

use super::PluginError;
use super::embedded;
use super::project::{Kind, Language};

/// The WASI that a plugin is a command for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum WasiVersion {
    /// Asynchronous: many pods are asked at once
    #[value(name = "0.3")]
    P3,
    /// An ordinary `fn main()`, which waits
    #[value(name = "0.2")]
    P2,
}

/// What to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) name: &'a str,
    pub(super) language: Language,
    pub(super) kind: Kind,
    pub(super) wasi: WasiVersion,
}

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../templates/plugin/", $path))
    };
}

/// A file of a template: where it goes and what it says. `@name@` and its like are filled in.
type File = (&'static str, &'static str);

const RUST_TOOL: [File; 3] = [
    ("Cargo.toml", template!("rust-tool/Cargo.toml")),
    ("src/lib.rs", template!("rust-tool/src/lib.rs")),
    ("src/tests.rs", template!("rust-tool/src/tests.rs")),
];
const RUST_JOB: [File; 3] = [
    ("Cargo.toml", template!("rust-job/Cargo.toml")),
    ("src/lib.rs", template!("rust-job/src/lib.rs")),
    ("src/tests.rs", template!("rust-job/src/tests.rs")),
];
const RUST_P2: [File; 4] = [
    ("Cargo.toml", template!("rust-02/Cargo.toml")),
    ("src/main.rs", template!("rust-02/src/main.rs")),
    ("wit/plugin.wit", template!("rust-02/wit/plugin.wit")),
    ("scenes/ls.toml", template!("scenes/02-ls.toml")),
];
const PYTHON_TOOL: [File; 4] = [
    ("pyproject.toml", template!("python-tool/pyproject.toml")),
    ("src/app.py", template!("python-tool/src/app.py")),
    ("tests/test_app.py", template!("python-tool/tests/test_app.py")),
    ("wit/plugin.wit", template!("python-tool/wit/plugin.wit")),
];
const PYTHON_JOB: [File; 4] = [
    ("pyproject.toml", template!("python-job/pyproject.toml")),
    ("src/app.py", template!("python-job/src/app.py")),
    ("tests/test_app.py", template!("python-job/tests/test_app.py")),
    ("wit/plugin.wit", template!("python-job/wit/plugin.wit")),
];
const TOOL_SCENES: [File; 3] = [
    ("scenes/three-pods.toml", template!("scenes/tool-three-pods.toml")),
    ("scenes/as-json.toml", template!("scenes/tool-as-json.toml")),
    ("scenes/no-registry.toml", template!("scenes/tool-no-registry.toml")),
];
const JOB_SCENES: [File; 2] = [
    ("scenes/all-run.toml", template!("scenes/job-all-run.toml")),
    ("scenes/one-down.toml", template!("scenes/job-one-down.toml")),
];
const GITIGNORE: File = (".gitignore", template!("gitignore"));
const README_TOOL: File = ("README.md", template!("README-tool.md"));
const README_JOB: File = ("README.md", template!("README-job.md"));

const IN_RUST: &str = "The plugin is in `src/lib.rs`; `cargo test` runs its unit tests on this machine.";
const IN_RUST_P2: &str = "The plugin is in `src/main.rs`; `cargo test` runs its unit tests on this machine. It is a command of WASI 0.2:\n\
`cargo build --target wasm32-wasip2` makes a component of it, and so does `cargo component build`.";
const IN_PYTHON: &str = "The plugin is in `src/app.py`, what it may call in `wit/plugin.wit`; `python3 -m unittest discover tests` runs its\n\
unit tests on this machine.";

/// All files of a new plugin.
pub(super) fn files(plan: Plan<'_>) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut add = |list: &[File]| files.extend(list.iter().map(|(path, text)| ((*path).to_owned(), fill_in(text, plan))));
    match (plan.language, plan.kind, plan.wasi) {
        (Language::Python, Kind::Tool, _) => add(&PYTHON_TOOL),
        (Language::Python, Kind::Job, _) => add(&PYTHON_JOB),
        (Language::Rust, _, WasiVersion::P2) => add(&RUST_P2),
        (Language::Rust, Kind::Tool, WasiVersion::P3) => add(&RUST_TOOL),
        (Language::Rust, Kind::Job, WasiVersion::P3) => add(&RUST_JOB),
    }
    if plan.wasi == WasiVersion::P3 {
        add(if plan.kind == Kind::Tool { &TOOL_SCENES } else { &JOB_SCENES });
    }
    add(&[GITIGNORE, if plan.kind == Kind::Tool { README_TOOL } else { README_JOB }]);
    files.extend(carried(plan));
    files
}

/// What `.ocho/` holds, and what else is the same for every plugin of a language.
fn carried(plan: Plan<'_>) -> Vec<(String, String)> {
    let below = |folder: &str, list: &[File]| -> Vec<(String, String)> {
        list.iter().map(|(path, text)| (format!("{folder}{path}"), (*text).to_owned())).collect()
    };
    match (plan.language, plan.wasi) {
        (Language::Python, _) => {
            let deps = [embedded::CONTRACT, embedded::WASI].concat();
            [below(".ocho/python/", embedded::PYTHON), below("wit/deps/", &deps)].concat()
        }
        (Language::Rust, WasiVersion::P2) => {
            let contract: Vec<File> = embedded::RUST.iter().filter(|(path, _)| path.starts_with("wit/")).copied().collect();
            let depends_on = format!("wit-bindgen {}", embedded::version_of("wit-bindgen"));
            [below(".ocho/", &contract), vec![lock(plan.name, &depends_on)]].concat()
        }
        (Language::Rust, WasiVersion::P3) => {
            let workspace = (".ocho/Cargo.toml".to_owned(), embedded::WORKSPACE.to_owned());
            let bindings = (".ocho/sdk/rust/src/generated.rs".to_owned(), embedded::BINDINGS.to_owned());
            [below(".ocho/", embedded::RUST), vec![workspace, bindings, lock(plan.name, "ocho-sdk")]].concat()
        }
    }
}

/// The versions that the SDK was tried with, so that a build is the same everywhere, and needs no network where they are cached.
fn lock(name: &str, depends_on: &str) -> (String, String) {
    let ours = format!("[[package]]\nname = \"{name}\"\nversion = \"0.1.0\"\ndependencies = [\n \"{depends_on}\",\n]\n\n");
    let head = "# This file is automatically @generated by Cargo.\n# It is not intended for manual editing.\nversion = 4\n\n";
    ("Cargo.lock".to_owned(), format!("{head}{ours}{}", embedded::LOCK))
}

fn fill_in(text: &str, plan: Plan<'_>) -> String {
    let language = match (plan.language, plan.wasi) {
        (Language::Rust, WasiVersion::P3) => IN_RUST,
        (Language::Rust, WasiVersion::P2) => IN_RUST_P2,
        (Language::Python, _) => IN_PYTHON,
    };
    let contract = if plan.language == Language::Python { "wit/deps/" } else { ".ocho/wit/" };
    text.replace("@name@", plan.name)
        .replace("@kind@", plan.kind.word())
        .replace("@language@", language)
        .replace("@contract@", contract)
        .replace("@wit-bindgen@", embedded::version_of("wit-bindgen"))
}

/// Writes a new folder: all of it, or nothing.
pub(super) fn write(plan: Plan<'_>, folder: &Path) -> Result<(), PluginError> {
    if folder.symlink_metadata().is_ok() {
        return Err(PluginError::Exists(folder.to_owned()));
    }
    let failed = |cause| PluginError::Write { path: folder.to_owned(), cause };
    let parent = folder.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    // Beside its place, so that the last step is one rename.
    let draft = tempfile::Builder::new().prefix(".ocho-new-").tempdir_in(parent).map_err(failed)?;
    for (path, text) in files(plan) {
        write_file(&draft.path().join(path), &text).map_err(failed)?;
    }
    open_to_all(draft.path()).and_then(|()| fs::rename(draft.path(), folder)).map_err(failed)?;
    // It has moved: there is nothing left to remove.
    let _ = draft.keep();
    Ok(())
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// Temporary folders are for their owner alone; this one becomes an ordinary folder.
fn open_to_all(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_plan() -> impl Iterator<Item = Plan<'static>> {
        let kinds = [Kind::Tool, Kind::Job];
        let flavours =
            [(Language::Rust, WasiVersion::P3), (Language::Rust, WasiVersion::P2), (Language::Python, WasiVersion::P3)];
        let plan = move |kind, (language, wasi)| Plan { name: "a-name", language, kind, wasi };
        kinds.into_iter().flat_map(move |kind| flavours.into_iter().map(move |flavour| plan(kind, flavour)))
    }

    #[test]
    fn each_is_a_project() {
        for plan in every_plan() {
            let room = tempfile::tempdir().unwrap();
            let folder = room.path().join("it");
            write(plan, &folder).unwrap();
            let project = crate::plugin::project::Project::open(&folder).unwrap();
            assert_eq!((project.name().as_str(), project.kind(), project.language()), ("a-name", plan.kind, plan.language));
            assert!(folder.join("README.md").is_file() && folder.join("scenes").is_dir(), "{plan:?}");
            assert!(matches!(write(plan, &folder), Err(PluginError::Exists(_))));
            assert!(matches!(write(plan, &room.path().join("no/such")), Err(PluginError::Write { .. })));
            assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1, "a draft is left");
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for plan in every_plan() {
            for (path, text) in
                files(plan).iter().filter(|(path, _)| !path.starts_with(".ocho/") && !path.starts_with("wit/deps/"))
            {
                for word in ["@name@", "@kind@", "@language@", "@contract@", "@wit-bindgen@"] {
                    assert!(!text.contains(word), "{path}: {word}");
                }
            }
        }
    }

    #[test]
    fn manifests_and_scenes_read() {
        for plan in every_plan() {
            for (path, text) in files(plan).iter().filter(|(path, _)| path.ends_with(".toml") || path.ends_with("Cargo.lock")) {
                assert!(text.parse::<toml::Table>().is_ok(), "{path}");
            }
        }
    }
}
