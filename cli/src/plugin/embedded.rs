//! What this program carries for authors: the SDKs, the contract, and the versions that they were tried with (see `build.rs`).

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The exact version of a crate that the SDK uses, as plugins without the SDK name it.
pub(super) fn version_of(package: &str) -> &'static str {
    let head = format!("name = \"{package}\"\nversion = \"");
    let rest = LOCK.split(&head).nth(1).unwrap_or_default();
    rest.split('"').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_lock_is_closed() {
        let packages: Vec<&str> = LOCK.split("[[package]]\n").skip(1).collect();
        let names: BTreeSet<&str> = packages.iter().filter_map(|package| package.split('"').nth(1)).collect();
        assert!(names.contains("ocho-core") && names.contains("wit-bindgen"));
        for package in packages {
            for dependency in package.lines().filter_map(|line| line.strip_prefix(" \"")) {
                let name = dependency.split(['"', ' ']).next().unwrap_or_default();
                assert!(names.contains(name), "{name} is missing");
            }
        }
        for of_the_host in ["wasmtime", "axum", "tokio", "rusqlite", "insta"] {
            assert!(!names.contains(of_the_host), "{of_the_host} is too much");
        }
    }

    #[test]
    fn everything_is_there() {
        let has = |list: &[(&str, &str)], name: &str| list.iter().any(|(path, text)| *path == name && !text.is_empty());
        for path in ["core/Cargo.toml", "core/src/lib.rs", "sdk/rust/Cargo.toml", "sdk/rust/src/lib.rs", "wit/0.1/pods/pods.wit"]
        {
            assert!(has(RUST, path), "{path}");
        }
        assert!(has(WASI, "cli.wit") && has(CONTRACT, "proxy.wit") && has(PYTHON, "ocho_tool.py") && has(PYTHON, "ocho_job.py"));
        assert!(WORKSPACE.contains("\nwit-bindgen = { version = \"0.") && WORKSPACE.contains("default-features = false"));
        assert!(BINDINGS.contains("pub async fn find(") && !BINDINGS.contains("generate!("));
        assert!(version_of("wit-bindgen").starts_with("0."));
    }
}
