//! Which file of a bundle a name in the URL means.

use ocho_runtime::{FolderError, WorkFolder};
use std::io;

use bytes::Bytes;

/// A file larger than this is no job: three times the largest Python component.
const FILE_BYTES: u64 = 64 << 20;

/// How a component begins; a core module has another number behind the magic one.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MAGIC: &[u8] = b"\0asm";

/// Why a name means no job.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoJob {
    #[error("unable to find {0} (check your scripts)")]
    Absent(String),
    #[error(
        "{name} is a Python script, and jobs are WebAssembly components here: build it to {component} and put that beside it, \
         the URL can stay as it is"
    )]
    Python { name: String, component: String },
    #[error("{0} is a core module; build it for the target wasm32-wasip2, as a component")]
    Module(String),
    #[error("{name} is no WebAssembly component; build the job to {component}")]
    Other { name: String, component: String },
    #[error("{0}")]
    Unreadable(String),
}

/// Finds the component: the file itself if it is one, else `<name>.wasm`, else `<stem>.wasm`.
pub(super) fn find(folder: &WorkFolder, name: &str) -> Result<Bytes, NoJob> {
    let stem = stem(name);
    let mut foreign = None;
    for candidate in [name.to_owned(), format!("{name}.wasm"), format!("{stem}.wasm")] {
        match read(folder, &candidate)? {
            Some(content) if content.starts_with(COMPONENT) => return Ok(content),
            Some(content) => foreign = foreign.or(Some((candidate, content))),
            None => {}
        }
    }
    Err(match foreign {
        None => NoJob::Absent(name.to_owned()),
        Some((name, content)) if content.starts_with(MAGIC) => NoJob::Module(name),
        Some((name, _)) if name.ends_with(".py") => NoJob::Python { name, component: format!("{stem}.wasm") },
        Some((name, _)) => NoJob::Other { name, component: format!("{stem}.wasm") },
    })
}

/// The name without its ending, such as `.py`; what has a blank in it, or another odd character, is no ending.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.bytes().all(|byte| byte.is_ascii_alphanumeric()) => stem,
        _ => name,
    }
}

/// The content; nothing where there is no such file.
fn read(folder: &WorkFolder, name: &str) -> Result<Option<Bytes>, NoJob> {
    match folder.read(name, FILE_BYTES) {
        Ok(file) => Ok(Some(file.content)),
        Err(FolderError::Name(_)) => Ok(None),
        // A folder or a pipe of this name (`Other`) is no script either, and a name may be too long to be one.
        Err(FolderError::Io { cause, .. })
            if matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename | io::ErrorKind::Other
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(NoJob::Unreadable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &[(&str, &[u8])]) -> WorkFolder {
        let folder = WorkFolder::new(None).unwrap();
        files.iter().for_each(|(name, content)| folder.write(name, content).unwrap());
        folder
    }

    fn component(tail: &str) -> Vec<u8> {
        [COMPONENT, tail.as_bytes()].concat()
    }

    #[test]
    fn a_name_means_itself_then_its_component() {
        let (itself, added, stem) = (component("itself"), component("added"), component("stem"));
        let all = bundle(&[("deploy.py", &itself), ("deploy.py.wasm", &added), ("deploy.wasm", &stem)]);
        assert_eq!(find(&all, "deploy.py").unwrap(), itself);
        assert_eq!(find(&all, "deploy").unwrap(), stem);
        let script = bundle(&[("deploy.py", b"print()"), ("deploy.py.wasm", &added), ("deploy.wasm", &stem)]);
        assert_eq!(find(&script, "deploy.py").unwrap(), added);
        let script = bundle(&[("deploy.py", b"print()"), ("deploy.wasm", &stem)]);
        assert_eq!(find(&script, "deploy.py").unwrap(), stem);
        assert_eq!(find(&script, "deploy.wasm").unwrap(), stem);
        for odd in ["deploy.py -h", "deploy.py;x", "deploy.py\n", "deploy.a b", "deploy.py\0"] {
            assert_eq!(find(&script, odd), Err(NoJob::Absent(odd.to_owned())), "{odd:?}");
        }
    }

    #[test]
    fn what_is_no_job_says_what_to_do() {
        let folder = bundle(&[("a.py", b"print()"), ("b", b"#!/bin/sh"), ("c.wasm", b"\0asm\x01\0\0\0"), ("d/e", b"")]);
        let said = |name| find(&folder, name).unwrap_err().to_string();
        let long = "n".repeat(300);
        for absent in ["missing.py", "A.PY", "a.py -h", "d", ".", "..", "x\0y", "d/e/f", ".py", "", &long] {
            assert_eq!(said(absent), format!("unable to find {absent} (check your scripts)"));
        }
        assert!(said("a.py").starts_with("a.py is a Python script") && said("a.py").contains("build it to a.wasm"));
        assert!(said("b").starts_with("b is no WebAssembly component; build the job to b.wasm"));
        assert!(said("c").starts_with("c.wasm is a core module"));
    }

    #[test]
    fn links_lead_nowhere() {
        let folder = bundle(&[]);
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("out.py")).unwrap();
        assert!(matches!(find(&folder, "out.py"), Err(NoJob::Unreadable(_))));
    }
}
