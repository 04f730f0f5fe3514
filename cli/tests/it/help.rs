//! The whole help, which serves as the reference page.

use crate::program::User;

#[test]
fn the_whole_help() {
    let user = User::new();
    let pages = [
        vec!["--help"],
        vec!["cli", "--help"],
        vec!["run", "--help"],
        vec!["encrypt", "--help"],
        vec!["init", "--help"],
        vec!["version", "--help"],
        vec!["completions", "--help"],
    ];
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
