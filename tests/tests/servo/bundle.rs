//! Bundles, written entry by entry: polite ones, and such as no packer makes.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ocho_tests::programs::guest;
use tar::{Builder, EntryType, Header};

/// A bundle that grows.
#[derive(Default, Clone)]
pub(crate) struct Bundle {
    entries: Vec<(Vec<u8>, EntryType, Vec<u8>)>,
}

impl Bundle {
    /// With a job that does these steps; see `tests/guests/script`. A name `a.py` means the component `a.wasm`.
    pub(crate) fn job(self, name: &str, steps: &str) -> Self {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let component = fs::read(guest("script")).expect("a component can be read");
        self.file(&format!("{stem}.wasm"), component).file(&format!("{name}.steps"), steps)
    }

    pub(crate) fn file(self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.entry(name, EntryType::Regular, content)
    }

    pub(crate) fn entry(mut self, name: &str, kind: EntryType, content: impl Into<Vec<u8>>) -> Self {
        self.entries.push((name.as_bytes().to_owned(), kind, content.into()));
        self
    }

    pub(crate) fn tar(&self) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        for (name, kind, content) in &self.entries {
            let mut header = Header::new_gnu();
            // Not `set_path`, which refuses what the tests are about.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name);
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            if kind.is_symlink() || kind.is_hard_link() {
                header.set_link_name("/tmp").expect("a short name");
            }
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, &content[..]).expect("memory takes everything");
        }
        tar.into_inner().expect("memory takes everything")
    }

    pub(crate) fn pack(&self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).expect("memory takes everything");
    gzip.finish().expect("memory takes everything")
}

/// The jobs of the reference's fixture: `a.py` prints `one`, `b.py` prints `two` and exits 3.
pub(crate) fn fixture() -> Bundle {
    Bundle::default().job("a.py", "print one").job("b.py", "print two\nexit 3")
}
