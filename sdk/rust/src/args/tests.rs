use proptest::prelude::*;

use super::*;

fn kill() -> Usage {
    Usage::new("kill", "End pods.")
        .one_or_more("clusters", "patterns")
        .indices(&["-i", "--indices"])
        .json(&["-j"])
        .timeout()
        .force()
}

fn exec() -> Usage {
    Usage::new("exec", "Run a tool of the pods.")
        .one("clusters", Kind::Text, "pattern")
        .one_or_more("cmdline", "words")
        .indices(&["-i", "--indices"])
        .json(&["-j", "--json"])
        .timeout()
        .force()
        .pass_unknown_to("cmdline")
}

fn port() -> Usage {
    Usage::new("port", "List ports.").one("port", Kind::Int, "port").optional("clusters", "pattern").json(&["-j", "--json"])
}

#[track_caller]
fn found(usage: &Usage, line: &str) -> Found {
    usage.read(&line.split(' ').collect::<Vec<_>>()).unwrap_or_else(|stop| panic!("{line}: {}", stop.text()))
}

#[track_caller]
fn check_error(usage: &Usage, line: &str, message: &str) {
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    match usage.read(&words) {
        Err(Stop::Wrong { message: said, .. }) => assert_eq!(said, message, "{line}"),
        other => panic!("{line}: {other:?}"),
    }
}

#[track_caller]
fn check_kill(line: &str, clusters: &[&str], seqs: Option<&[u32]>) {
    let found = found(&kill(), line);
    assert_eq!(found.texts("clusters"), clusters, "{line}");
    let expected = seqs.map_or(Selection::All, |seqs| Selection::Only(seqs.iter().copied().map(PodSeq).collect()));
    assert_eq!(found.selection(), expected, "{line}");
}

#[test]
fn switches_stand_anywhere() {
    check_kill("foo -i 1 2", &["foo"], Some(&[1, 2]));
    check_kill("-i 1 2 --force foo", &["foo"], Some(&[1, 2]));
    check_kill("foo bar -j", &["foo", "bar"], None);
    check_kill("foo -t 9 bar", &["foo", "bar"], None);
    check_kill("-i 1 -- foo -x", &["foo", "-x"], Some(&[1]));
}

#[test]
fn q48_a_list_of_numbers_stops_at_the_first_other_word() {
    check_kill("-i 1 2 foo", &["foo"], Some(&[1, 2]));
    let found = found(&exec(), "x -i 1 run");
    assert_eq!((found.text("clusters"), found.texts("cmdline")), (Some("x"), &["run".to_owned()][..]));
}

#[test]
fn spellings() {
    for line in ["a --force", "a --for", "a --f", "--fo a"] {
        assert!(found(&kill(), line).flag("force"), "{line}");
    }
    for line in ["a -t 7", "a -t7", "a -t=7", "-t 9 a -t 7", "a -jt7", "a -jt 7", "a -jdt=7"] {
        let expected = if line == "a -jdt=7" { None } else { Some(7) };
        assert_eq!(
            kill().read(&line.split(' ').collect::<Vec<_>>()).ok().and_then(|found| found.int("timeout")),
            expected,
            "{line}"
        );
    }
    let both = found(&kill(), "a -jd");
    assert!(both.json() && both.flag("debug"));
    assert_eq!(found(&port(), "9000 --js").int("port"), Some(9000));
}

#[test]
fn timeouts_have_a_floor() {
    let seconds = |line| found(&kill(), line).timeout().as_secs();
    assert_eq!((seconds("a"), seconds("a -t 4"), seconds("a -t -3"), seconds("a -t 90")), (60, 5, 5, 90));
    assert_eq!(seconds("a -t 9223372036854775807"), 31_536_000);
}

#[test]
fn mistakes_are_told_as_argparse_does() {
    check_error(&kill(), "", "too few arguments");
    check_error(&exec(), "web", "too few arguments");
    check_error(&port(), "abc", "argument port: invalid int value: 'abc'");
    check_error(&kill(), "a -i", "argument -i/--indices: expected at least one argument");
    check_error(&kill(), "a -i x", "argument -i/--indices: invalid int value: 'x'");
    check_error(&kill(), "a -i 1,2", "argument -i/--indices: invalid int value: '1,2'");
    check_error(&kill(), "a -i -1", "argument -i/--indices: invalid int value: '-1'");
    check_error(&kill(), "a -t", "argument -t: expected one argument");
    check_error(&kill(), "a -t 5s", "argument -t: invalid int value: '5s'");
    check_error(&kill(), "a -x --why", "unrecognized arguments: -x --why");
    check_error(&kill(), "a -jx", "argument -j: ignored explicit argument 'x'");
    check_error(&kill(), "a --force=1", "argument --force: ignored explicit argument '1'");
    check_error(&port(), "1 a b", "unrecognized arguments: b");
    let two = Usage::new("t", "").flag(&["--strict"], "strict", "").flag(&["--string"], "string", "");
    check_error(&two, "--str", "ambiguous option: --str could match --strict, --string");
}

#[test]
fn a_mistake_shows_the_help_below() {
    let stop = port().read::<&str>(&[]).unwrap_err();
    assert!(!stop.is_ok());
    assert!(
        stop.text().starts_with("error: too few arguments\n\nusage: port [-h] [-j] [-d] port [clusters]\n"),
        "{}",
        stop.text()
    );
}

#[test]
fn unknown_words_pass_behind_the_known_ones() {
    let passed = |line| found(&exec(), line).texts("cmdline").join(" ");
    assert_eq!(passed("web run --foo bar --force"), "run --foo bar");
    assert_eq!(passed("web --foo run a --force"), "run a --foo");
    assert_eq!(passed("web run -x -i 1"), "run -x");
    assert_eq!(passed("web --force -- run -j"), "run -j");
    assert!(found(&exec(), "web run --js").json());
}

#[test]
fn numbers_below_zero_are_values() {
    let scale = Usage::new("scale", "").one_or_more("clusters", "").value(&["-f"], "factor", Kind::Text, "");
    for factor in ["-2", "-1.5", "-.5", "+2", "x1.2"] {
        assert_eq!(found(&scale, &format!("web -f {factor}")).text("factor"), Some(factor));
    }
    check_error(&scale, "web -f -x", "argument -f: expected one argument");
}

/// As Python's `argparse` lays the same arguments out on 80 columns.
#[test]
fn the_layout_of_help() {
    insta::assert_snapshot!(kill().help(), @"
    usage: kill [-h] [-i INDICES [INDICES ...]] [-j] [-t TIMEOUT] [--force] [-d]
                clusters [clusters ...]

    End pods.

    positional arguments:
      clusters              patterns

    optional arguments:
      -h, --help            show this help message and exit
      -i INDICES [INDICES ...], --indices INDICES [INDICES ...]
                            numbers of the pods to pick, in each cluster (e.g. -i
                            0 3)
      -j                    print one line of JSON instead of text
      -t TIMEOUT            seconds to wait, 60 by default and at least 5
      --force               go ahead without -i, on every pod of the clusters
      -d, --debug           print what is asked and answered as well
    ");
    insta::assert_snapshot!(port().help(), @"
    usage: port [-h] [-j] [-d] port [clusters]

    List ports.

    positional arguments:
      port         port
      clusters     pattern

    optional arguments:
      -h, --help   show this help message and exit
      -j, --json   print one line of JSON instead of text
      -d, --debug  print what is asked and answered as well
    ");
}

proptest! {
    #[test]
    fn any_words_are_an_answer_not_a_panic(words in proptest::collection::vec("[-]{0,2}[a-zé=1 ]{0,4}", 0..6)) {
        let _ = (kill().read(&words), exec().read(&words), port().read(&words));
    }
}
