//! Pages under `docs/reference/`, made from the sources: `cargo xtask docs` writes them anew.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use ocho_tests::TestHost;
use ocho_tests::programs::{program, root};

/// Set by `cargo xtask docs`.
const UPDATE: &str = "OCHO_UPDATE_DOCS";

#[test]
fn the_page_of_ocho_is_current() {
    compare("ocho.md", &command_page("ocho", "The command of operators and plugin authors."));
}

#[test]
fn the_page_of_ochod_is_current() {
    compare("ochod.md", &command_page("ochod", "The daemon."));
}

#[test]
fn the_page_of_ochopod_is_current() {
    compare("ochopod.md", &command_page("ochopod", "The pod agent."));
}

#[test]
fn the_page_of_the_tools_is_current() {
    let host = TestHost::up().start();
    let mut page = head("tools", "The standard tools, as `<tool> --help` tells them.", "plugins/*");
    for tool in ["bump", "deploy", "exec", "grep", "kill", "log", "ls", "off", "on", "poll", "port", "reset", "scale"] {
        let help = host.shell(&format!("{tool} --help")).out;
        let _ = write!(page, "\n## {tool}\n\n```text\n{}\n```\n", help.trim_end());
    }
    let _ = host.stop();
    compare("tools.md", &page);
}

#[test]
fn the_page_of_the_contract_is_current() {
    let mut page = head(
        "The contract",
        "What a plugin may import, interface by interface. One interface is one permission, unless it has only types.",
        "wit/0.1",
    );
    for package in ["proxy", "pods", "marathon"] {
        let file = format!("wit/0.1/{package}/{package}.wit");
        let text = fs::read_to_string(root().join(&file)).unwrap();
        for (name, body) in interfaces(&text) {
            let _ = write!(page, "\n## ocho:{package}/{name}\n\n```wit\n{}\n```\n", body.trim_end());
        }
    }
    compare("wit.md", &page);
}

/// The interfaces of a WIT file with the comments before them; each begins and ends at the start of a line.
fn interfaces(text: &str) -> Vec<(String, String)> {
    let (mut found, mut body, mut name) = (Vec::new(), String::new(), None);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("interface ") {
            name = rest.split([' ', '{']).next().map(str::to_owned);
        } else if name.is_none() && !line.starts_with("///") {
            body.clear();
            continue;
        }
        body.push_str(line);
        body.push('\n');
        if line == "}"
            && let Some(name) = name.take()
        {
            found.push((name, std::mem::take(&mut body)));
        }
    }
    found
}

fn head(title: &str, what: &str, source: &str) -> String {
    format!("# {title}\n\n{what} Made from `{source}` by `cargo xtask docs`; do not edit by hand.\n")
}

/// The help of a program and of all its commands.
fn command_page(name: &str, what: &str) -> String {
    let mut page = head(name, what, "--help");
    add_help(&mut page, &program(name), &[name.to_owned()]);
    page
}

fn add_help(page: &mut String, program: &Path, words: &[String]) {
    let help = help(program, &words[1..]);
    let _ = write!(page, "\n## {}\n\n```text\n{}\n```\n", words.join(" "), help.trim_end());
    for command in commands(&help) {
        let below: Vec<String> = words.iter().cloned().chain([command]).collect();
        add_help(page, program, &below);
    }
}

fn help(program: &Path, words: &[String]) -> String {
    let mut command = Command::new(program);
    // No variable of the machine may show in a page.
    command.env_clear().env("HOME", "/home/you").env("COLUMNS", "120").args(words).arg("--help");
    let output = command.output().unwrap();
    assert!(output.status.success(), "`{} --help` failed", words.join(" "));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// What stands under `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let first = |line: &str| {
        line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')).and_then(|rest| rest.split(' ').next().map(str::to_owned))
    };
    lines.filter_map(first).filter(|name| name != "help").collect()
}

fn compare(name: &str, page: &str) {
    let file = root().join("docs/reference").join(name);
    if env::var_os(UPDATE).is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, page).unwrap();
        return;
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    let differ = there.lines().zip(page.lines()).find(|(old, new)| old != new);
    assert!(
        there == page,
        "docs/reference/{name} is not current; run `cargo xtask docs`. The first line that differs: {differ:?}"
    );
}

#[test]
fn commands_are_found_in_help() {
    let help = "Usage: x\n\nCommands:\n  up     Run\n         more\n  help   Print\n\nOptions:\n  -h\n";
    assert_eq!(commands(help), ["up"]);
    let wit =
        "package a:b;\n\n/// One.\ninterface one {\n  /// f\n  f: func();\n}\n\nworld w {\n}\n/// Two.\ninterface two {\n}\n";
    let found = interfaces(wit);
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert!(found[0].1.starts_with("/// One.\ninterface one {\n") && found[0].1.ends_with("}\n"));
}
