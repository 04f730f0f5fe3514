//! The whole help, which serves as the reference page.

use crate::program::User;

/// The commands of `ocho plugin`.
const PLUGIN: [&str; 17] = [
    "new", "build", "test", "run", "dev", "install", "ls", "inspect", "check", "why", "grant", "revoke", "limits", "rollback",
    "disable", "enable", "rm",
];

#[test]
fn the_whole_help() {
    let user = User::new();
    let mut pages = vec![
        vec!["--help"],
        vec!["cli", "--help"],
        vec!["run", "--help"],
        vec!["runs", "--help"],
        vec!["encrypt", "--help"],
        vec!["init", "--help"],
        vec!["version", "--help"],
        vec!["completions", "--help"],
    ];
    pages.push(vec!["plugin", "--help"]);
    pages.extend(PLUGIN.iter().map(|name| vec!["plugin", name, "--help"]));
    let help: Vec<String> = pages
        .iter()
        .map(|words| {
            let ran = user.ocho(words);
            assert_eq!((ran.code, ran.err.as_str()), (0, ""));
            format!("$ ocho {}\n{}", words.join(" "), ran.out)
        })
        .collect();
    insta::assert_snapshot!(help.join("\n"));
}

#[test]
fn the_old_spelling_of_help() {
    let user = User::new();
    assert_eq!(user.ocho(&["cli", "help"]).out, user.ocho(&["cli", "--help"]).out);
}
