//! Archives, unpacked into the task's folder and nowhere else.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::budget::{Budget, Metered};
use super::{Cause, make_folder, stays};

/// How a file is packed, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Packing {
    Tar,
    TarGz,
    /// A tar that this program of the system unpacks.
    TarBy(&'static str),
    Gz,
    Zip,
}

const ENDS: [(&str, Packing); 9] = [
    (".tar", Packing::Tar),
    (".tar.gz", Packing::TarGz),
    (".tgz", Packing::TarGz),
    (".tar.bz2", Packing::TarBy("bzip2")),
    (".tbz2", Packing::TarBy("bzip2")),
    (".tar.xz", Packing::TarBy("xz")),
    (".txz", Packing::TarBy("xz")),
    (".zip", Packing::Zip),
    // Last: the others end so, too.
    (".gz", Packing::Gz),
];

impl Packing {
    /// `None` for a file that is not packed.
    pub(super) fn of(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?.to_ascii_lowercase();
        ENDS.iter().find(|(end, _)| name.ends_with(end) && name.len() > end.len()).map(|(_, packing)| *packing)
    }
}

/// Unpacks a file that lies anywhere below `top`.
pub(super) fn unpack(packing: Packing, packed: &Path, top: &Path, budget: &Budget) -> Result<(), Cause> {
    let file = BufReader::new(File::open(packed)?);
    match packing {
        Packing::Tar => untar(file, top, budget),
        Packing::TarGz => untar(MultiGzDecoder::new(file), top, budget),
        Packing::TarBy(program) => untar_by(program, packed, top, budget),
        Packing::Gz => gunzip(file, &packed.with_extension(""), budget),
        Packing::Zip => unzip(file, top, budget),
    }
}

fn broken(error: impl std::fmt::Display) -> Cause {
    Cause::Archive(error.to_string())
}

fn untar(packed: impl Read, top: &Path, budget: &Budget) -> Result<(), Cause> {
    let mut archive = tar::Archive::new(Metered { inner: packed, budget });
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        budget.enter()?;
        let name = entry.path().map_err(broken)?.into_owned();
        match entry.header().entry_type() {
            EntryType::XGlobalHeader => continue,
            EntryType::Regular | EntryType::Continuous | EntryType::Directory | EntryType::Symlink | EntryType::Link => {}
            _ => return Err(Cause::OddEntry(name.display().to_string())),
        }
        let escapes = || Cause::Escapes(name.display().to_string());
        stays(&name).ok_or_else(escapes)?;
        // It also refuses to write through links that lead out.
        if !entry.unpack_in(top).map_err(|error| broken(deepest(&error)))? {
            return Err(escapes());
        }
    }
    Ok(())
}

/// The reason at the end of the chain; the ones before it name folders of this machine.
fn deepest(error: &io::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Unpacks a tar that a program of the system unpacks first.
fn untar_by(program: &str, packed: &Path, top: &Path, budget: &Budget) -> Result<(), Cause> {
    let mut child = Command::new(program)
        .arg("-dc")
        .stdin(File::open(packed)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|cause| broken(format!("`{program}` is needed to unpack it: {cause}")))?;
    let mut out = child.stdout.take().ok_or_else(|| broken("no output"))?;
    let unpacked = untar(&mut out, top, budget).and_then(|()| {
        // What follows the last entry, so that the program can end by itself.
        io::copy(&mut Metered { inner: &mut out, budget }, &mut io::sink()).map(drop).map_err(broken)
    });
    drop(out);
    if unpacked.is_err() {
        let _ = child.kill();
    }
    let status = child.wait()?;
    unpacked?;
    if status.success() { Ok(()) } else { Err(broken(format!("`{program}` ended with {status}"))) }
}

fn gunzip(packed: impl Read, to: &Path, budget: &Budget) -> Result<(), Cause> {
    write(MultiGzDecoder::new(packed), to, 0o644, budget)
}

fn unzip(packed: BufReader<File>, top: &Path, budget: &Budget) -> Result<(), Cause> {
    let mut archive = zip::ZipArchive::new(packed).map_err(broken)?;
    for nth in 0..archive.len() {
        budget.enter()?;
        let entry = archive.by_index(nth).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        let path = stays(Path::new(&name)).ok_or_else(|| Cause::Escapes(name.clone()))?;
        if entry.is_dir() {
            make_folder(top, &path)?;
            continue;
        }
        if !entry.is_file() {
            return Err(Cause::OddEntry(name));
        }
        let folder = make_folder(top, path.parent().unwrap_or(Path::new("")))?;
        let file: PathBuf = folder.join(path.file_name().ok_or(Cause::NoName)?);
        let mode = entry.unix_mode().map_or(0o644, |mode| mode & 0o777);
        write(entry, &file, mode, budget)?;
    }
    Ok(())
}

/// Writes a new file in the place of whatever was there, a link among it.
fn write(from: impl Read, to: &Path, mode: u32, budget: &Budget) -> Result<(), Cause> {
    match fs::remove_file(to) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause.into()),
        _ => {}
    }
    let mut file = File::create_new(to)?;
    io::copy(&mut Metered { inner: from, budget }, &mut file).map_err(broken)?;
    Ok(file.set_permissions(fs::Permissions::from_mode(mode))?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn tar_of(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, text) in entries {
            let mut header = tar::Header::new_ustar();
            // Written by hand: the library refuses to write what it refuses to read.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            let link = matches!(kind, EntryType::Symlink | EntryType::Link);
            header.set_size(if link { 0 } else { text.len() as u64 });
            if link {
                header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
            }
            header.set_cksum();
            builder.append(&header, if link { &[] as &[u8] } else { text.as_bytes() }).expect("in memory");
        }
        builder.into_inner().expect("in memory")
    }

    fn zip_of(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, text) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).expect("in memory");
            writer.write_all(text.as_bytes()).expect("in memory");
        }
        writer.finish().expect("in memory").into_inner()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    /// Unpacks into a folder `top`, beside which there is nothing else.
    fn unpacked(name: &str, bytes: &[u8], limit: u64) -> (TempDir, Result<(), String>) {
        let home = TempDir::new().expect("a folder");
        let top = home.path().canonicalize().expect("there").join("top");
        fs::create_dir(&top).expect("made");
        let packed = top.join(name);
        fs::write(&packed, bytes).expect("written");
        let budget = Budget::new(limit);
        let packing = Packing::of(OsStr::new(name)).expect("packed");
        let result = unpack(packing, &packed, &top, &budget).map_err(|cause| budget.judge(cause).to_string());
        assert_eq!(fs::read_dir(home.path()).expect("there").count(), 1, "something was written outside");
        (home, result)
    }

    #[test]
    fn ends_of_names() {
        let of = |name: &str| Packing::of(OsStr::new(name));
        assert_eq!(of("a.tar.gz"), Some(Packing::TarGz));
        assert_eq!(of("A.TGZ"), Some(Packing::TarGz));
        assert_eq!(of("a.gz"), Some(Packing::Gz));
        assert_eq!(of("a.tar.xz"), Some(Packing::TarBy("xz")));
        assert_eq!(of("a.zip"), Some(Packing::Zip));
        assert_eq!((of("a.txt"), of("gz"), of(".gz")), (None, None, None));
    }

    #[test]
    fn each_sort_is_unpacked() {
        let tar =
            tar_of(&[("d/", EntryType::Directory, ""), ("d/f", EntryType::Regular, "text"), ("l", EntryType::Symlink, "d/f")]);
        for (name, bytes, file) in [
            ("a.tar", tar.clone(), "d/f"),
            ("a.tgz", gzip(&tar), "l"),
            ("a.zip", zip_of(&[("d/f", "text")]), "d/f"),
            ("f.gz", gzip(b"text"), "f"),
        ] {
            let (home, result) = unpacked(name, &bytes, 1 << 20);
            assert_eq!(result, Ok(()), "{name}");
            assert_eq!(fs::read_to_string(home.path().join("top").join(file)).expect("there"), "text", "{name}");
        }
    }

    #[test]
    fn nothing_escapes() {
        let file = |name: &'static str| (name, EntryType::Regular, "x");
        for entries in [
            vec![file("../x")],
            vec![file("/tmp/x")],
            vec![file("a/../../x")],
            vec![("out", EntryType::Symlink, ".."), file("out/x")],
            vec![("out", EntryType::Link, "/etc/passwd")],
            vec![("dev", EntryType::Char, "")],
        ] {
            let (_home, result) = unpacked("a.tar", &tar_of(&entries), 1 << 20);
            assert!(result.is_err(), "{entries:?}");
        }
        for name in ["../x", "/x", "a/../../x"] {
            let (_home, result) = unpacked("a.zip", &zip_of(&[(name, "x")]), 1 << 20);
            assert!(result.is_err(), "{name}");
        }
    }

    #[test]
    fn bombs_are_cut() {
        let zeros = "\0".repeat(1 << 20);
        for (name, bytes) in [
            ("a.gz", gzip(zeros.as_bytes())),
            ("a.tgz", gzip(&tar_of(&[("f", EntryType::Regular, &zeros)]))),
            ("a.zip", zip_of(&[("f", &zeros)])),
        ] {
            let (_home, result) = unpacked(name, &bytes, 100_000);
            assert_eq!(result, Err("the files of the task take more than 100000 bytes".to_owned()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_an_answer_not_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), cut in 0_usize..2000) {
            let mut whole = gzip(&tar_of(&[("f", EntryType::Regular, "text")]));
            whole.truncate(cut);
            for (name, bytes) in [("a.tar", &bytes), ("a.zip", &bytes), ("a.gz", &bytes), ("a.tgz", &whole)] {
                let _ = unpacked(name, bytes, 1 << 20);
            }
        }
    }
}
