//! Runs as they happen, through `/v1/runs`.

use crate::portal::{Answer, Portal, Received, STARTED};
use crate::program::User;

fn answers(received: &Received) -> Answer {
    match (received.path.as_str(), received.line.as_str()) {
        (_, "help") => Answer::ok("available commands -> grep, ls"),
        (_, "both") => Answer::Events(vec![
            Some(STARTED),
            Some(r#"{"event":"out","text":"one\ntw"}"#),
            Some(r#"{"event":"err","text":"pod #4 is silent\n"}"#),
            Some(r#"{"event":"progress","share":0.5}"#),
            Some(r#"{"event":"out","text":"o"}"#),
            Some(r#"{"event":"ended","ok":true,"exit_code":0,"elapsed_ms":7,"truncated":false}"#),
        ]),
        (_, "trap") => Answer::Events(vec![
            Some(STARTED),
            Some(
                r#"{"event":"ended","ok":false,"exit_code":137,"elapsed_ms":7,"truncated":false,"note":"tool `trap` trapped: unreachable"}"#,
            ),
        ]),
        (_, "long") => Answer::ok(&"long ".repeat(2 << 20)),
        ("/v1/runs", "foo") => Answer::problem(404, "no-such-tool", "no tool `foo`"),
        (_, line) => Answer::ok(line),
    }
}

#[test]
fn results_and_messages_go_to_their_streams() {
    let portal = Portal::start(answers);
    let ran = User::new().ocho(&["cli", &portal.host(), "both"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "one\ntwo\n", "pod #4 is silent\n"));
}

#[test]
fn a_line_of_ten_megabytes_comes_whole() {
    let portal = Portal::start(answers);
    let ran = User::new().ocho(&["cli", &portal.host(), "long"]);
    assert_eq!((ran.code, ran.err.as_str(), ran.out.len()), (0, "", (10 << 20) + 1));
    assert!(ran.out == "long ".repeat(2 << 20) + "\n");
}

#[test]
fn a_run_that_the_host_ended_says_why() {
    let portal = Portal::start(answers);
    let ran = User::new().ocho(&["cli", &portal.host(), "trap"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, "", "error: tool `trap` trapped: unreachable\n"));
}

#[test]
fn a_tool_that_is_not_there_has_the_text_that_scripts_know() {
    let portal = Portal::start(answers);
    let ran = User::new().ocho(&["cli", &portal.host(), "foo"]);
    let known = "unknown command (available commands -> grep, ls)\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, known, ""));
}

#[test]
fn json_is_one_object_a_command() {
    let portal = Portal::start(answers);
    let cli = |words: &[&str]| {
        let ran = User::new().ocho(&[&["cli", "--json"], words].concat());
        assert_eq!(ran.err, "");
        (ran.code, ran.out.replace(&portal.host(), "HOST"))
    };
    let host = portal.host();
    assert_eq!(
        cli(&[&host, "both"]),
        (
            0,
            "{\"version\": 1, \"ok\": true, \"run\": \"01JRUN\", \"exit_code\": 0, \"elapsed_ms\": 7, \
             \"out\": \"one\\ntwo\", \"err\": \"pod #4 is silent\\n\"}\n"
                .to_owned()
        )
    );
    assert!(cli(&[&host, "trap"]).1.ends_with(
        "\"exit_code\": 137, \"elapsed_ms\": 7, \"out\": \"\", \"err\": \"\", \"note\": \"tool `trap` trapped: unreachable\"}\n"
    ));
    assert!(cli(&[&host, "foo"]).1.contains("\"out\": \"unknown command (available commands -> grep, ls)\""));
    assert_eq!(
        cli(&["--compat", &host, "ls"]),
        (0, "{\"version\": 1, \"ok\": true, \"exit_code\": 0, \"elapsed_ms\": 2, \"out\": \"ls\", \"err\": \"\"}\n".to_owned())
    );
    assert_eq!(
        cli(&[&host, "ls 'x"]),
        (
            1,
            "{\"version\": 1, \"ok\": false, \"error\": \"the command line does not read: the quote ' at character 4 is never closed\", \
             \"hint\": \"quote a quote with a backslash\"}\n"
                .to_owned()
        )
    );
}
