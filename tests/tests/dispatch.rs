//! From a command line to a tool: which one runs, and what it says to arguments that it does not take.

use ocho_tests::TestHost;

#[test]
fn only_the_first_word_names_the_tool() {
    let host = TestHost::up().start();
    let list = host.shell("help").success().replace("available commands -> ", "");
    for line in ["foo", "foo ls", "foo bar kill", "LS", "--help", "-h", "-d", "ls.wasm", "../ls", "'ls '"] {
        let said = host.shell(line).failure();
        assert_eq!(said, format!("unknown command (available commands -> {list})"), "{line}");
    }
}

#[test]
fn an_empty_line_is_a_failure_that_lists_the_tools() {
    let host = TestHost::up().start();
    for line in ["", "   ", "# nothing but a comment"] {
        let said = host.shell(line).failure();
        assert!(said.contains("available commands -> "), "{line:?}: {said}");
    }
}

#[test]
fn help_of_a_tool_is_a_success() {
    let host = TestHost::up().start();
    for (tool, usage) in [
        ("ls", "usage: ls [-h] [-j] [-d]"),
        ("grep", "usage: grep [-h] [-j] [-d] [clusters]"),
        ("poll", "usage: poll [-h] [-j] [-d] [clusters]"),
        ("kill", "usage: kill [-h] [-i INDICES [INDICES ...]] [-j] [-t TIMEOUT] [--force] [-d]"),
        ("deploy", "usage: deploy [-h] [-j] [-n NAMESPACE]"),
    ] {
        for switch in ["--help", "-h", "--he"] {
            let help = host.shell(&format!("{tool} {switch}")).success();
            assert!(help.starts_with(usage), "{help}");
            assert!(help.lines().all(|line| line.len() <= 80), "{help}");
            assert!(help.contains("\noptional arguments:\n  -h, --help"), "{help}");
        }
    }
}

#[test]
fn wrong_arguments_are_told_with_the_help() {
    let host = TestHost::up().start();
    for (line, error) in [
        ("ls extra", "unrecognized arguments: extra"),
        ("ls --nope -x", "unrecognized arguments: --nope -x"),
        ("grep a b", "unrecognized arguments: b"),
        ("kill", "too few arguments"),
        ("kill foo -i", "argument -i: expected at least one argument"),
        ("kill foo -i x", "argument -i: invalid int value: 'x'"),
        ("kill foo -t abc --force", "argument -t: invalid int value: 'abc'"),
        ("deploy", "too few arguments"),
    ] {
        let said = host.shell(line).failure();
        let tool = line.split(' ').next().unwrap();
        assert!(said.starts_with(&format!("error: {error}\n\nusage: {tool} ")), "{line}: {said}");
    }
}

#[test]
fn switches_can_be_shortened_and_joined() {
    let host = TestHost::up().start();
    for line in ["grep nothing.* --json", "grep --js nothing.*", "grep -j nothing.*", "poll nothing.* --j"] {
        assert_eq!(host.shell(line).success(), "{}", "{line}");
    }
    assert_eq!(host.shell("grep nothing.* -jd").json(), serde_json::json!({}));
    for line in ["kill nothing.* --for -t5", "kill -t=5 --force nothing.*", "kill nothing.* -t 99 -t 5 --forc"] {
        let said = host.shell(line).failure();
        assert!(said.starts_with("0% success (-0 pods)\n"), "{line}: {said}");
    }
}

#[test]
fn kill_wants_to_be_told_twice() {
    let host = TestHost::up().start();
    assert_eq!(host.shell("kill foo").failure(), "shutting down <- you must specify --force if -i is not set");
}
