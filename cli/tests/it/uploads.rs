//! Files and folders that go with a command.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use crate::portal::{Part, Portal};
use crate::program::User;

fn entries(archive: &[u8]) -> Vec<(String, String)> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    tar.entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        })
        .collect()
}

fn parts(portal: &Portal) -> Vec<Part> {
    portal.received().pop().unwrap().parts
}

#[test]
fn a_definition_goes_under_its_last_name() {
    let portal = Portal::echo();
    let user = User::new().has("far/web.yml", "cluster: web").has("extra.yml", "x: 1").has("dev/x", "");
    let ran = user.with("OCHOPOD_TOKEN", "secret").ocho(&[
        "cli",
        &portal.host(),
        "deploy",
        "far/web.yml",
        "-n",
        "dev",
        "-o",
        "~/extra.yml",
    ]);
    assert_eq!(ran.out, "deploy web.yml -n dev -o extra.yml web.yml extra.yml\n");
    let received = portal.received().pop().unwrap();
    let files: Vec<_> =
        received.parts.iter().map(|part| (part.name.as_str(), part.file_name.as_str(), &part.bytes[..])).collect();
    assert_eq!(files, [("web.yml", "web.yml", &b"cluster: web"[..]), ("extra.yml", "extra.yml", b"x: 1")]);
    // The signature is over the line as it is sent, and over the files.
    assert!(received.is_signed_whole_with("secret"));
}

#[test]
fn a_folder_goes_as_an_archive() {
    let portal = Portal::echo();
    let user = User::new().has("jobs/a.py", "print()").has("jobs/sub/.kept", "kept").has("jobs/.git/x", "");
    let ran = user.ocho(&["cli", &portal.host(), "exec", "*servo", "--force", "run", "jobs", "a.py"]);
    assert_eq!(ran.out, "exec *servo --force run jobs.tgz a.py jobs.tgz\n");
    let file = |path: &str, content: &str| (path.to_owned(), content.to_owned());
    assert_eq!(entries(&parts(&portal)[0].bytes), [file("a.py", "print()"), file("sub/", ""), file("sub/.kept", "kept")]);
}

#[test]
fn q35_what_is_no_file_position_is_not_sent() {
    let portal = Portal::echo();
    let user = User::new().has("web/x", "").has("kill", "");
    assert_eq!(user.ocho(&["cli", &portal.host(), "grep", "web"]).out, "grep web\n");
    assert_eq!(user.ocho(&["cli", &portal.host(), "kill", "./web", "--force"]).out, "kill ./web --force\n");
    assert_eq!(user.ocho(&["cli", &portal.host(), "mine", "web", "./kill"]).out, "mine web kill kill\n");
}

#[test]
fn q36_two_files_of_one_name_are_refused() {
    let portal = Portal::echo();
    let user = User::new().has("a/m.yml", "").has("b/m.yml", "");
    let ran = user.ocho(&["cli", &portal.host(), "deploy", "a/m.yml", "b/m.yml"]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.err,
        "error: `a/m.yml` and `b/m.yml` would both be called `m.yml` on the host\n\
         hint: the host tells files apart by their last name: rename one of them\n"
    );
    assert_eq!(portal.lines(), [""; 0]);
}

#[test]
fn a_missing_definition_is_told_and_sent_as_it_is() {
    let portal = Portal::echo();
    let ran = User::new().ocho(&["cli", &portal.host(), "deploy", "gone.yml"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "deploy gone.yml\n"));
    assert_eq!(ran.err, "hint: there is no file `gone.yml` here, the word is sent as it is\n");
}

#[test]
fn what_cannot_be_read_is_named() {
    let portal = Portal::echo();
    let user = User::new().has("f/secret", "x").has("empty/.only", "");
    std::fs::set_permissions(user.home().join("f/secret"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let cli = |word: &str| user.ocho(&["cli", &portal.host(), "deploy", word]);
    if std::fs::read(user.home().join("f/secret")).is_err() {
        for word in ["f/secret", "f"] {
            let ran = cli(word);
            assert_eq!((ran.code, ran.err.as_str()), (1, "error: cannot read `f/secret`: Permission denied (os error 13)\n"));
        }
    }
    let ran = cli("empty");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (1, "error: the folder `empty` holds nothing to send (names that begin with a dot are left out)\n")
    );
    assert_eq!(portal.lines(), [""; 0]);
}

#[test]
fn a_large_file_is_streamed_from_the_disk() {
    let portal = Portal::echo();
    let user = User::new().with("OCHOPOD_TOKEN", "secret");
    let block: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let large = block.repeat(20);
    std::fs::write(user.home().join("large.bin"), &large).unwrap();
    let ran = user.ocho(&["cli", &portal.host(), "mine", "./large.bin"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(parts(&portal)[0].bytes == large, "the bytes changed on their way");
    assert!(portal.received()[0].is_signed_whole_with("secret"));
}

#[test]
fn a_full_temporary_folder_is_told() {
    let portal = Portal::echo();
    let user = User::new().with("TMPDIR", "/no/such/folder");
    std::fs::write(user.home().join("large.bin"), vec![0; 2 << 20]).unwrap();
    let ran = user.ocho(&["cli", &portal.host(), "mine", "./large.bin"]);
    assert_eq!(ran.code, 4);
    assert!(ran.err.starts_with("error: cannot keep the files for sending in the temporary folder: "), "{}", ran.err);
}
