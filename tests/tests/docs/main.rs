//! The documents: links lead somewhere, and the pages that are made from the sources are current.

mod links;
mod pages;

use std::fs;
use std::path::{Path, PathBuf};

use ocho_tests::programs::root;

/// Every Markdown file of the project, sorted.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(root(), &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the project can be read") {
        let path = entry.expect("the project can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules", "templates"].contains(&name.as_str()) {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
}
