//! The prompt, and lists of lines on standard input.

use crate::portal::{Answer, Portal, Received, STARTED};
use crate::program::User;
use crate::terminal::Terminal;

fn tools(received: &Received) -> Answer {
    match received.line.as_str() {
        "help" => Answer::ok("available commands -> deploy, grep, help, ls"),
        "wait" => Answer::Never,
        "slow" => {
            Answer::Events(vec![Some(STARTED), Some(r#"{"event":"err","text":"1 of 3 pods\n"}"#), None, Some(OUT), Some(GOOD)])
        }
        "scale" => Answer::Events(SCALING.to_vec()),
        "ls -j" => Answer::ok(r#"{"marathon.portal": {}, "marathon.web": {}}"#),
        "grep --help" => Answer::ok("usage: grep\n\noptional arguments:\n  -h, --help  show this\n  -j, --json  print JSON"),
        "bad" => Answer::failed("unknown command"),
        "broken" => Answer::raw(500, ""),
        "table" => Answer::ok("pod  |  process  |  state   \n     |           |          \na    |  running  |  follower\n\nend"),
        "paint" => Answer::ok("\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}"),
        line => Answer::ok(&format!("<{line}>")),
    }
}

const OUT: &str = r#"{"event":"out","text":"3 pods"}"#;
const GOOD: &str = r#"{"event":"ended","ok":true,"exit_code":0,"elapsed_ms":5,"truncated":false}"#;

/// A run that waits for pods, and tells of one that is silent meanwhile.
const SCALING: [Option<&str>; 9] = [
    Some(STARTED),
    Some(r#"{"event":"err","text":"web : 0/3 pods are up\n"}"#),
    None,
    Some(r#"{"event":"err","text":"web : 1/3 pods are up\n"}"#),
    None,
    Some(r#"{"event":"err","text":"web #7: no answer\n"}"#),
    None,
    Some(r#"{"event":"out","text":"100% success (+3 pods)\n"}"#),
    Some(GOOD),
];

struct Talk {
    portal: Portal,
    terminal: Terminal,
    prompt: String,
}

impl Talk {
    /// Types a line, waits for what it shows, and for the prompt after it. A person types ahead; a test that did would mix
    /// its keys with the terminal's own answers.
    #[track_caller]
    fn says(&mut self, line: &str, shown: &str) -> &mut Self {
        let prompts = |screen: &str| screen.matches(&self.prompt).count();
        let before = prompts(&self.terminal.contents());
        let after = |screen: &str| prompts(screen) > before && screen.contains(shown);
        self.terminal.types(&format!("{line}\r")).sees(after).stands_at(&self.prompt);
        self
    }

    /// Waits until the host's answer to a question of the Tab key is here: it comes before that to a command which is sent later.
    #[track_caller]
    fn learns(&mut self, question: &str) -> &mut Self {
        self.portal.wait_for_line(question);
        self.says("ls", "<ls>")
    }

    /// Asks for a completion that there is none of, so that the answer to the question is known for the next one.
    #[track_caller]
    fn asks_in_vain(&mut self, line: &str, question: &str) -> &mut Self {
        let prompt = self.prompt.clone();
        self.terminal.types(line);
        self.portal.wait_for_line(question);
        self.terminal.types("\x03").stands_at(&prompt);
        self.learns(question)
    }

    #[track_caller]
    fn leaves(&mut self) -> String {
        self.terminal.types("exit\r").ends_with(0)
    }
}

fn talk(user: &User) -> Talk {
    let portal = Portal::start(tools);
    let prompt = format!("{} >", portal.host());
    let mut terminal = Terminal::start(user, &["cli", &portal.host()]);
    terminal.stands_at(&prompt);
    Talk { portal, terminal, prompt }
}

#[test]
fn a_whole_conversation() {
    let mut talk = talk(&User::new());
    talk.says("ls", "<ls>").says("", "").says("bad", "unknown command");
    let screen = talk.leaves();
    let text = screen.replace(&talk.portal.host(), "HOST");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "welcome to the ocho CLI ! (CTRL-C or exit to get out)",
            "warning, $OCHOPOD_TOKEN is undefined",
            "HOST > ls",
            "<ls>",
            "HOST >",
            "HOST > bad",
            "unknown command",
            "HOST > exit",
        ]
    );
}

#[test]
fn no_warning_with_a_token() {
    let talk = talk(&User::new().with("OCHOPOD_TOKEN", "secret"));
    let mut terminal = talk.terminal;
    terminal.types("\x04");
    let screen = terminal.ends_with(0);
    assert!(screen.contains("welcome to the ocho CLI") && !screen.contains("warning"), "{screen}");
}

#[test]
fn ctrl_c_cancels_a_command_and_leaves_at_an_empty_prompt() {
    let mut talk = talk(&User::new());
    let prompt = talk.prompt.clone();
    talk.terminal.types("wait\r");
    talk.portal.wait_for_line("wait");
    talk.terminal.types("\x03").sees(|screen| screen.contains("error: cancelled")).stands_at(&prompt);
    talk.portal.wait_for_abandoned(1);
    talk.terminal.types("typed").stands_at(&format!("{prompt} typed")).types("\x03").stands_at(&prompt);
    talk.says("ls", "<ls>");
    talk.terminal.types("\x03");
    talk.terminal.ends_with(0);
    assert!(!talk.portal.lines().contains(&"typed".to_owned()));
}

#[test]
fn a_run_is_shown_as_it_happens_and_can_be_cancelled_midway() {
    let mut talk = talk(&User::new());
    let prompt = talk.prompt.clone();
    talk.terminal.types("slow\r").sees(|screen| screen.contains("1 of 3 pods"));
    talk.portal.go_on();
    talk.terminal.sees(|screen| screen.contains("3 pods\n")).stands_at(&prompt);
    talk.portal.wait_for_abandoned(1);
    talk.terminal.types("slow\r").sees(|screen| screen.matches("1 of 3 pods").count() == 2);
    talk.terminal.types("\x03").sees(|screen| screen.contains("error: cancelled")).stands_at(&prompt);
    talk.portal.wait_for_abandoned(2);
    talk.leaves();
}

#[test]
fn what_a_command_waits_for_is_one_line_that_changes() {
    let mut talk = talk(&User::new());
    let prompt = talk.prompt.clone();
    talk.terminal.types("scale\r").stands_at("web : 0/3 pods are up");
    talk.portal.go_on();
    talk.terminal.stands_at("web : 1/3 pods are up").sees(|screen| !screen.contains("0/3"));
    talk.portal.go_on();
    talk.terminal.sees(|screen| screen.contains("web #7: no answer\nweb : 1/3 pods are up"));
    talk.portal.go_on();
    talk.terminal.sees(|screen| screen.contains("web #7: no answer\n100% success (+3 pods)\n")).stands_at(&prompt);
    assert!(!talk.leaves().contains("pods are up"));
}

#[test]
fn a_command_that_is_cancelled_takes_its_line_along() {
    let mut talk = talk(&User::new());
    let prompt = talk.prompt.clone();
    talk.terminal.types("scale\r").stands_at("web : 0/3 pods are up");
    talk.terminal.types("\x03").sees(|screen| screen.contains("error: cancelled")).stands_at(&prompt);
    assert!(!talk.leaves().contains("pods are up"));
}

#[test]
fn on_a_pipe_there_is_a_line_for_each_change() {
    let portal = Portal::start(tools);
    (0..3).for_each(|_| portal.go_on());
    let ran = User::new().ocho(&["cli", &portal.host(), "scale"]);
    let told = "web : 0/3 pods are up\nweb : 1/3 pods are up\nweb #7: no answer\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "100% success (+3 pods)\n", told));
}

#[test]
fn ctrl_d_leaves() {
    let mut talk = talk(&User::new());
    talk.terminal.types("\x04");
    talk.terminal.ends_with(0);
}

#[test]
fn trouble_does_not_end_the_conversation() {
    let mut talk = talk(&User::new());
    talk.says("broken", "failed (HTTP 500)").says("ls 'x", "is never closed");
    talk.portal.stop();
    // There is no connection, or one that was kept is found broken.
    talk.says("ls", "error: i/o failure").leaves();
}

#[test]
fn tab_completes_tools_and_files() {
    let user = User::new().has("web-one.yml", "x");
    let mut talk = talk(&user);
    let prompt = talk.prompt.clone();
    talk.learns("help");
    talk.terminal.types("dep\t").stands_at(&format!("{prompt} deploy"));
    talk.terminal.types("web\t").stands_at(&format!("{prompt} deploy web-one.yml"));
    talk.says("", "<deploy web-one.yml>").leaves();
    assert_eq!(talk.portal.received().last().unwrap().parts[0].name, "web-one.yml");
}

#[test]
fn tab_completes_clusters_and_switches_of_the_host() {
    let mut talk = talk(&User::new());
    let prompt = talk.prompt.clone();
    talk.learns("help").asks_in_vain("grep zz\t", "ls -j").asks_in_vain("grep --zz\t", "grep --help");
    let line = format!("{prompt} grep marathon.");
    talk.terminal.types("grep m\t").sees(|screen| screen.contains(&line) && screen.contains("marathon.portal"));
    talk.terminal.types("w").sees(|screen| !screen.contains("marathon.portal"));
    talk.terminal.types("\t").stands_at(&format!("{line}web"));
    talk.terminal.types("--j\t").stands_at(&format!("{prompt} grep marathon.web --json"));
    talk.says("", "<grep marathon.web --json>").leaves();
    assert!(talk.portal.lines().iter().any(|line| line == "ls -j"));
}

#[test]
fn lines_are_remembered() {
    let user = User::new();
    let mut first = talk(&user);
    first.says("grep one", "<grep one>").says(" grep secret", "<grep secret>").leaves();
    let mut second = talk(&user);
    let prompt = second.prompt.clone();
    second.terminal.types("\x1b[A\x1b[A").stands_at(&format!("{prompt} grep one"));
    second.says("", "<grep one>").leaves();
    let history = std::fs::read_to_string(user.home().join(".local/state/ocho/history")).unwrap();
    assert!(history.contains("grep one") && !history.contains("secret"), "{history}");
}

#[test]
fn a_terminal_shows_colours_but_no_other_sequences() {
    let portal = Portal::start(tools);
    let mut terminal = Terminal::start(&User::new(), &["cli", &portal.host(), "paint"]);
    let screen = terminal.ends_with(0);
    assert_eq!(screen.trim_end(), "red \\u{1b}]0;title\\u{7}");
    assert!(terminal.coloured().contains("\u{1b}[31mred"), "{:?}", terminal.coloured());

    let mut plain = Terminal::start(&User::new().with("NO_COLOR", "1"), &["cli", &portal.host(), "paint"]);
    plain.ends_with(0);
    assert!(!plain.coloured().contains("\u{1b}[31m"), "{:?}", plain.coloured());
}

#[test]
fn tables_fit_the_terminal_and_have_colours() {
    let portal = Portal::start(tools);
    let mut terminal = Terminal::start(&User::new(), &["cli", &portal.host(), "table"]);
    let screen = terminal.ends_with(0);
    assert_eq!(screen.trim_end(), "pod  |  process  |  state\n     |           |\na    |  running  |  follower\n\nend");
    assert!(terminal.coloured().contains("\u{1b}[32mrunning"), "{:?}", terminal.coloured());
    let piped = User::new().ocho(&["cli", &portal.host(), "table"]);
    assert_eq!(piped.out, "pod  |  process  |  state   \n     |           |          \na    |  running  |  follower\n\nend\n");
}

#[test]
fn q33_lines_on_a_pipe_end_at_the_end_of_the_input() {
    let portal = Portal::start(tools);
    let cli = |input: &str| User::new().ocho_reading(&["cli", &portal.host()], input);
    let ran = cli("ls\n\n  \nbad\ngrep x");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, "<ls>\nunknown command\n<grep x>\n", ""));
    let ran = cli("broken\nls\n");
    assert_eq!((ran.code, ran.out.as_str()), (3, "<ls>\n"));
    assert!(ran.err.contains("HTTP 500"));
    assert_eq!(cli("bad\nexit\nls\n").out, "unknown command\n");
    assert_eq!((cli("").code, cli("ls\n").code), (0, 0));
    assert!(!portal.lines().contains(&"EOF".to_owned()));
}
