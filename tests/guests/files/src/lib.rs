//! Its working folder: `files` lists it, `files read FILE`, `files write FILE TEXT`, `files many COUNT`, `files fill BYTES`.
#![cfg(target_family = "wasm")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

struct Files;

impl wasip3::exports::cli::run::Guest for Files {
    async fn run() -> Result<(), ()> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let done = match words[..] {
            [] => list(Path::new(".")),
            ["read", file] => fs::read(file).and_then(|bytes| print(&bytes)),
            ["write", file, text] => fs::write(file, text),
            ["many", count] => many(count.parse().map_err(|_| ())?),
            ["fill", bytes] => fill(bytes.parse().map_err(|_| ())?),
            _ => return Err(()),
        };
        done.map_err(|cause| println!("refused: {cause}"))
    }
}

/// As they are; what ends without a line end would stay in the buffer.
fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Prints `path: size` for every file, sorted.
fn list(folder: &Path) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            list(&entry.path())?;
        } else {
            println!("{}: {}", entry.path().display(), entry.metadata()?.len());
        }
    }
    Ok(())
}

fn many(count: usize) -> io::Result<()> {
    for number in 0..count {
        File::create(format!("{number}"))?;
    }
    println!("made {count} files");
    Ok(())
}

fn fill(bytes: u64) -> io::Result<()> {
    let block = vec![0xA5; 1024 * 1024];
    let mut file = File::create("filled")?;
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left).map_or(&block[..], |left| &block[..left.min(block.len())]);
        file.write_all(piece)?;
        left -= piece.len() as u64;
    }
    println!("wrote {bytes} bytes");
    Ok(())
}

wasip3::cli::command::export!(Files);
