//! The folder of a plugin that is being written: what it is, as its `Cargo.toml` or `pyproject.toml` says.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ocho_core::ToolName;
use ocho_core::tools::Metadata;
use toml::{Table, Value};

use super::{PluginError, build};
use crate::screen::Screen;

/// A folder that `ocho plugin new` wrote, or one like it.
#[derive(Debug)]
pub(crate) struct Project {
    folder: PathBuf,
    name: ToolName,
    language: Language,
    kind: Kind,
    metadata: Metadata,
}

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    /// Built with cargo
    Rust,
    /// Built with componentize-py
    Python,
}

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Run by people at the prompt
    Tool,
    /// Run by the servo for a CI system
    Job,
}

impl Kind {
    /// As the description spells it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Job => "job",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "tool" => Ok(Self::Tool),
            "job" => Ok(Self::Job),
            other => Err(format!("kind `{other}` is neither `tool` nor `job`")),
        }
    }
}

impl Project {
    /// Reads what the project in a folder is.
    pub(crate) fn open(folder: &Path) -> Result<Self, PluginError> {
        let refused = |why: String| PluginError::NoProject { folder: folder.to_owned(), why };
        let (language, file) = match (folder.join("Cargo.toml"), folder.join("pyproject.toml")) {
            (cargo, _) if cargo.is_file() => (Language::Rust, cargo),
            (_, python) if python.is_file() => (Language::Python, python),
            _ => return Err(refused("it has neither Cargo.toml nor pyproject.toml".to_owned())),
        };
        let text = fs::read_to_string(&file).map_err(|cause| PluginError::Read { path: file.clone(), cause })?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| refused(error.message().to_owned()))?;
        let (about, ours) = match language {
            Language::Rust => (at(&table, &["package"]), at(&table, &["package", "metadata", "ocho"])),
            Language::Python => (at(&table, &["project"]), at(&table, &["tool", "ocho"])),
        };
        let about = about.ok_or_else(|| refused("its description names no package".to_owned()))?;
        let name = text_of(about, "name").unwrap_or_default();
        let name = name.parse().map_err(|error| refused(format!("{error}")))?;
        let kind = match ours.and_then(|ours| text_of(ours, "kind")) {
            Some(word) => word.parse().map_err(refused)?,
            None => Kind::Tool,
        };
        Ok(Self { folder: folder.to_owned(), name, language, kind, metadata: metadata_of(about) })
    }

    /// The folder, as it was given.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the tool or job is called.
    pub(crate) fn name(&self) -> &ToolName {
        &self.name
    }

    pub(crate) fn language(&self) -> Language {
        self.language
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What the description says about the plugin.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The folder of the component; of a job it is the bundle.
    pub(crate) fn dist(&self) -> PathBuf {
        self.folder.join("dist")
    }

    /// Where the component is once it is built.
    pub(crate) fn component(&self) -> PathBuf {
        self.dist().join(format!("{}.wasm", self.name))
    }

    /// Builds the component and says where it is.
    pub(crate) fn build(&self, screen: Screen) -> Result<PathBuf, PluginError> {
        build::component(self, screen)
    }
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Table> {
    path.iter().try_fold(table, |table, name| table.get(*name)?.as_table())
}

fn text_of(table: &Table, name: &str) -> Option<String> {
    table.get(name)?.as_str().map(str::to_owned).filter(|text| !text.is_empty())
}

/// Members of `[package]` and of `[project]`, which have their names in common where they can.
fn metadata_of(about: &Table) -> Metadata {
    let authors = about.get("authors").and_then(Value::as_array).map(|authors| {
        let names = authors.iter().filter_map(|one| one.as_str().map(str::to_owned).or_else(|| text_of(one.as_table()?, "name")));
        names.collect::<Vec<_>>().join(", ")
    });
    let urls = at(about, &["urls"]);
    let url = |names: [&str; 2]| names.iter().find_map(|name| text_of(urls?, name));
    Metadata {
        name: text_of(about, "name"),
        version: text_of(about, "version"),
        description: text_of(about, "description"),
        authors: authors.filter(|names| !names.is_empty()),
        licenses: text_of(about, "license"),
        source: text_of(about, "repository").or_else(|| url(["source", "repository"])),
        revision: None,
        homepage: text_of(about, "homepage").or_else(|| url(["homepage", "Homepage"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(file: &str, text: &str) -> Result<Project, String> {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join(file), text).unwrap();
        Project::open(room.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn descriptions() {
        let rust = open(
            "Cargo.toml",
            "[package]\nname = \"a-b\"\nversion = \"1.2.0\"\nauthors = [\"A\", \"B\"]\nrepository = \"https://h/r\"\n\
             [package.metadata.ocho]\nkind = \"job\"\n",
        )
        .unwrap();
        assert_eq!((rust.name().as_str(), rust.kind(), rust.language()), ("a-b", Kind::Job, Language::Rust));
        let Metadata { version, authors, source, .. } = rust.metadata().clone();
        assert_eq!([version, authors, source].map(Option::unwrap), ["1.2.0", "A, B", "https://h/r"]);
        let python = "[project]\nname = \"c\"\nauthors = [{name = \"A\"}]\nurls.source = \"https://h/r\"\n";
        let python = open("pyproject.toml", python).unwrap();
        assert_eq!((python.kind(), python.metadata().source.as_deref()), (Kind::Tool, Some("https://h/r")));
        assert!(python.component().ends_with("dist/c.wasm"));
    }

    #[test]
    fn what_is_no_description_is_told() {
        for (text, part) in [
            ("", "names no package"),
            ("[package", "unclosed table"),
            ("[package]\nname = 3", "name"),
            ("[package]\nname = \"A B\"", "`A B`"),
            ("[package]\nname = \"a\"\n[package.metadata.ocho]\nkind = \"toy\"", "kind `toy` is neither `tool` nor `job`"),
        ] {
            let told = open("Cargo.toml", text).unwrap_err();
            assert!(told.contains(part), "{text}: {told}");
        }
        assert!(open("other", "").unwrap_err().contains("neither Cargo.toml nor pyproject.toml"));
    }
}
