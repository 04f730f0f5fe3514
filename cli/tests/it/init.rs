//! `ocho init`: what it asks, what it writes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::User;
use crate::terminal::Terminal;

/// Every file below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).iter().map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect()
}

#[test]
fn it_asks_as_it_always_did() {
    let user = User::new();
    let ran = user.ocho_reading(&["init"], "my app_9!-x\nme/image\n");
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (
            0,
            "> enter a short identifier (e.g web or database): \n> enter the docker repo/image: \n\
             template ready in ochopod-marathon-myapp9-x/\n",
            ""
        )
    );
    let folder = user.home().join("ochopod-marathon-myapp9-x");
    assert_eq!(
        names(&folder),
        [
            "README.md",
            "images/image/Dockerfile",
            "images/image/entrypoint",
            "images/image/pod.toml",
            "images/image/work",
            "myapp9-x.yml"
        ]
    );
    let definition = std::fs::read_to_string(folder.join("myapp9-x.yml")).unwrap();
    assert!(definition.contains("\ncluster: myapp9-x\nimage: me/image\n"), "{definition}");
}

#[test]
fn flags_answer_beforehand() {
    let user = User::new();
    let ran = user.ocho(&["init", "web", "--name", "shop", "--into", "here"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "template ready in here/\n", ""));
    assert_eq!(
        names(&user.home().join("here")),
        [
            "README.md",
            "images/shop/Dockerfile",
            "images/shop/entrypoint",
            "images/shop/pod.toml",
            "images/shop/serve",
            "shop.yml"
        ]
    );
}

#[test]
fn programs_are_programs_and_read_as_shell() {
    for kind in ["default", "web"] {
        let user = User::new();
        user.ocho(&["init", kind, "--name", "it"]);
        let mut programs = 0;
        for file in files(&user.home().join("ochopod-marathon-it")) {
            let is_program = std::fs::read_to_string(&file).unwrap().starts_with("#!");
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, if is_program { 0o755 } else { 0o644 }, "{}", file.display());
            if is_program {
                programs += 1;
                assert!(Command::new("sh").arg("-n").arg(&file).status().unwrap().success(), "{}", file.display());
            }
        }
        assert_eq!(programs, 2);
    }
}

#[test]
fn q37_a_folder_that_is_there_is_an_error() {
    let user = User::new().has("ochopod-marathon-web/mine", "precious");
    let ran = user.ocho(&["init", "--name", "web"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert_eq!(
        ran.err,
        "error: `ochopod-marathon-web` is there already, nothing was written\nhint: `--into` names another folder\n"
    );
    assert_eq!(names(user.home()), ["ochopod-marathon-web/mine"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let user = User::new();
    let refused = |words: &[&str], input: &str| {
        let ran = user.ocho_reading(&[&["init"], words].concat(), input);
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.err.lines().next().unwrap().to_owned()
    };
    assert_eq!(refused(&["bogus"], ""), "error: there is no template `bogus`; there are `default` and `web`");
    assert_eq!(refused(&["--name", "é"], ""), "error: identifier `é` has no letter or digit of ASCII");
    assert_eq!(
        refused(&["--name", "a", "--image", "a b: c"], ""),
        "error: image `a b: c` does not read as `[registry[:port]/][team/]name[:tag]` in lower case"
    );
    assert_eq!(refused(&[], ""), "error: no answer to `enter a short identifier (e.g web or database)`");
    assert_eq!(refused(&[], "web\n"), "error: no answer to `enter the docker repo/image`");
    assert_eq!(names(user.home()), [""; 0]);
}

#[test]
fn a_person_can_try_again() {
    let user = User::new();
    let mut terminal = Terminal::start(&user, &["init", "web"]);
    terminal.stands_at("> enter a short identifier (e.g web or database):").types("!\r");
    terminal.sees(|screen| screen.contains("has no letter") && screen.trim_end().ends_with("database):")).types("web\r");
    terminal.stands_at("> enter the docker repo/image:").types("\r");
    let screen = terminal.ends_with(0);
    assert!(screen.contains("template ready in ochopod-marathon-web/"), "{screen}");
    assert!(user.home().join("ochopod-marathon-web/images/web/serve").exists());
}
