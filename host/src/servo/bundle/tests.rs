use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{Builder, Header};

use super::*;

/// Entries by name: a kind and content each, written without the checks of a polite packer.
fn tar(entries: &[(&[u8], EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_mode(0o4777);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("/etc/hostname").unwrap();
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn files(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<_> = entries.iter().map(|(name, text)| (name.as_bytes(), EntryType::Regular, text.as_bytes())).collect();
    gzip(&tar(&entries))
}

fn small() -> BundleLimits {
    BundleLimits { bytes: 4 << 20, entries: 100, ratio: 100, free_bytes: 1 << 20 }
}

/// Unpacks into a folder inside another one, so that an escape would show.
fn unpacked(archive: &[u8]) -> (tempfile::TempDir, Result<(), String>) {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().join("inside");
    fs::create_dir(&folder).unwrap();
    let done = unpack(archive, &folder, small()).map_err(|error| error.to_string());
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1, "something was made outside");
    (room, done)
}

#[track_caller]
fn refused(archive: &[u8], why: &str) {
    let (_, done) = unpacked(archive);
    let said = done.unwrap_err();
    assert!(said.contains(why), "{said}");
}

fn read(room: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(room.path().join("inside").join(name)).unwrap()
}

#[test]
fn files_and_folders_come_out() {
    use std::os::unix::fs::PermissionsExt as _;
    let (room, done) = unpacked(&gzip(&tar(&[
        (b"./", EntryType::Directory, b""),
        (b"./a.py", EntryType::Regular, b"one"),
        (b"sub/deep/b", EntryType::Regular, b"two"),
        (b"empty/", EntryType::Directory, b""),
        (b"a.py", EntryType::Continuous, b"last"),
    ])));
    done.unwrap();
    assert_eq!((read(&room, "a.py").as_str(), read(&room, "sub/deep/b").as_str()), ("last", "two"));
    assert!(room.path().join("inside/empty").is_dir());
    let mode = fs::metadata(room.path().join("inside/a.py")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn the_fixture_of_the_original_reads() {
    use base64::Engine as _;
    let fixture = "H4sIAAAAAAAC/0vUK6hkoDEwAAIzExMwDQTotIGBoSmCDRY3MzU2ZlAwYKADKC0uSSwCWskwMkFBUWZeiYZSfl6qkiYXwygYaSBpMOR/hBwi/5uN5n96\
                   gMzcgvyiEoXiymIuaFFQUp4PLAqAAnqpFZklGsajxcIoGAWjYBQMRwAAaRUDwwAMAAA=";
    let (room, done) = unpacked(&base64::engine::general_purpose::STANDARD.decode(fixture).unwrap());
    done.unwrap();
    assert_eq!(read(&room, "a.py"), "print(\"one\")\n");
}

#[test]
fn what_leads_out_is_refused_by_name() {
    for name in ["../x", "/tmp/ocho-escape", "a/../../x", "./../x", "a/..", "..", "/"] {
        refused(&files(&[("good", "x"), (name, "x")]), &format!("`{name}` does not stay"));
    }
    assert!(!Path::new("/tmp/ocho-escape").exists());
    refused(&files(&[("", "x")]), "does not stay");
}

#[test]
fn links_and_devices_are_refused_by_name() {
    for (kind, what) in [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a pipe"),
        (EntryType::GNUSparse, "a file with holes"),
        (EntryType::new(b'V'), "of an unknown kind"),
    ] {
        refused(&gzip(&tar(&[(b"evil", kind, b""), (b"evil/passwd", EntryType::Regular, b"x")])), &format!("`evil` is {what}"));
    }
}

#[test]
fn what_is_no_gzipped_tar_is_bogus() {
    let good = files(&[("a", "some text"), ("b", "more")]);
    refused(&tar(&[(b"a", EntryType::Regular, b"x")]), "bogus payload ?");
    refused(b"", "bogus payload ?");
    refused(b"BZh91AY&SY", "bogus payload ?");
    refused(&gzip(&[b'x'; 2000]), "bogus payload ?");
    refused(&[&good[..], b"behind it"].concat(), "bogus payload ?");
    for cut in [1, 8, 20, good.len() / 2, good.len() - 11] {
        refused(&good[..good.len() - cut], "bogus payload ?");
    }
    let mut wrong_checksum = good.clone();
    let at = good.len() - 6;
    wrong_checksum[at] ^= 1;
    refused(&wrong_checksum, "bogus payload ?");
}

#[test]
fn long_names_read_and_have_limits() {
    let long = "n".repeat(150);
    let mut header = Header::new_gnu();
    header.set_size(2);
    header.set_cksum();
    let mut gnu = Builder::new(Vec::new());
    gnu.append_data(&mut header, &long, &b"ab"[..]).unwrap();
    let (room, done) = unpacked(&gzip(&gnu.into_inner().unwrap()));
    done.unwrap();
    assert_eq!(read(&room, &long), "ab");

    let pax = format!("{} path={long}\n", long.len() + 10);
    let entries: [(&[u8], EntryType, &[u8]); 2] =
        [(b"x", EntryType::XHeader, pax.as_bytes()), (b"short", EntryType::Regular, b"ab")];
    let (room, done) = unpacked(&gzip(&tar(&entries)));
    done.unwrap();
    assert_eq!(read(&room, &long), "ab");

    let huge = vec![b'n'; 100 << 10];
    refused(&gzip(&tar(&[(b"@LongLink", EntryType::GNULongName, &huge), (b"x", EntryType::Regular, b"")])), "bogus payload ?");
    let escape = b"../../out\0";
    refused(&gzip(&tar(&[(b"@LongLink", EntryType::GNULongName, escape), (b"x", EntryType::Regular, b"")])), "`../../out`");
    let size = b"13 size=9999\n";
    refused(&gzip(&tar(&[(b"x", EntryType::XHeader, size), (b"x", EntryType::Regular, b"ab")])), "bogus payload ?");
    refused(&files(&[(&"a/".repeat(40), "")]), "deeper than 32 folders");
    refused(&gzip(&tar(&[(b"\xff", EntryType::Regular, b"")])), "is not text in UTF-8");
}

#[test]
fn limits_are_met_while_unpacking() {
    let zeros = vec![0; 3 << 20];
    refused(&gzip(&tar(&[(b"bomb", EntryType::Regular, &zeros)])), "more than 100 times its size");
    let noise: Vec<u8> = (0..5_u32 << 18).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes()).collect();
    refused(&gzip(&tar(&[(b"large", EntryType::Regular, &noise)])), "more than 4 MiB");
    let names: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    refused(&files(&names.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>()), "more than 100 files and folders");
    // Folders on the way to a file count too.
    let deep: Vec<String> = (0..10).map(|n| format!("{n}/b/c/d/e/f/g/h/i/j/k")).collect();
    refused(&files(&deep.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>()), "more than 100 files and folders");
}

#[test]
fn a_name_of_two_kinds_is_refused() {
    refused(&files(&[("a", "x"), ("a/b", "x")]), "`a/b` is there already");
    refused(&files(&[("a/b", "x"), ("a", "x")]), "`a` is there already");
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_not_a_panic(bytes: Vec<u8>, tail in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = unpacked(&bytes);
        let _ = unpacked(&gzip(&tail));
        let mut entry = tar(&[(b"a", EntryType::Regular, b"x")]);
        for (at, byte) in tail.iter().enumerate().take(512) {
            entry[at] ^= byte & 1;
        }
        let _ = unpacked(&gzip(&entry));
    }
}
