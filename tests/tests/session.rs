//! docs/session.md: a working session in a terminal, typed into tmux. `OCHO_REMAKE=1` writes the page anew.
//!
//! The terminals live in a network of their own, so that the page shows the ports that everybody has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ocho_tests::command::{Background, run};
use ocho_tests::programs::{folder, on_path, root};
use ocho_tests::{skip, wait};
use regex::Regex;
use serde_json::Value;

/// The host compiles its tools at the first start.
const SOON: Duration = Duration::from_secs(300);
const SHELL: &str = "$ ";
const OCHO: &str = "localhost > ";
const HOST: &str = "host";
const WORK: &str = "work";

/// What the page tells before a step, where one types, and what.
struct Step {
    tells: &'static str,
    terminal: &'static str,
    types: &'static [&'static str],
    /// The prompt after each line; another text where it is none.
    until: &'static str,
}

const fn step(tells: &'static str, types: &'static [&'static str], until: &'static str) -> Step {
    Step { tells, terminal: WORK, types, until }
}

const INTRODUCTION: &str = "# A working session

This page was made by typing it into a terminal; a test types it again and compares. To repeat it you need `ochod` and `ocho` in your `PATH` (after
`cargo build --release --workspace --bins` they are in `target/release`), and `python3` or `busybox` for the web server of the example.
`$` is the prompt of the shell, `localhost >` that of `ocho`.
";

const STEPS: &[Step] = &[
    step(
        "## A pod of your own\n\n`ocho init` writes a folder: an image that runs on this machine as it is, and the definition that deploys it.",
        &["ocho init web --name shop --image shop --into shop", "ls shop shop/images/shop"],
        SHELL,
    ),
    Step {
        tells: "## A cluster on this machine\n\nAt a second terminal: a scheduler, a registry and the host, in one process. It runs until Ctrl-C.\n\
                The first start takes some seconds more: the tools are compiled for this machine. (What it logs is left out here.)",
        terminal: HOST,
        types: &["ochod up --images shop/images"],
        until: "ready portal=",
    },
    step(
        "## The prompt\n\nBack at the first terminal. Tab completes tools, switches, clusters and files; the arrow keys go through what was typed before.",
        &["ocho cli localhost"],
        OCHO,
    ),
    step("What is there? The host alone, as two pods of its own.", &["help", "ls"], OCHO),
    step(
        "## Deploy\n\nThe definition is sent with the command. Without `--strict` a pod counts as soon as it has booted, with it only when its process runs.",
        &["deploy shop/shop.yml -p 2 --strict", "grep *shop"],
        OCHO,
    ),
    step(
        "Each pod has a number that is never used again. `port` tells at which port of which machine the port 80 of each pod is:",
        &["port 80 *shop"],
        OCHO,
    ),
    step(
        "Pods bring tools of their own. This one counts the bytes of a file that is sent along:",
        &["exec *shop size shop/shop.yml -i 0 1"],
        OCHO,
    ),
    step(
        "## Operate\n\nMore pods, and fewer: the newest go first, `--fifo` lets the oldest go.",
        &["scale *shop -f @3", "scale *shop -f -1 --fifo", "grep *shop"],
        OCHO,
    ),
    step(
        "`off` stops the process of a pod and leaves the pod; `on` starts it again. What would touch all pods of a pattern wants `--force`.",
        &["off *shop", "off *shop -i 2", "ls", "on *shop -i 2"],
        OCHO,
    ),
    step("Every tool explains itself:", &["scale --help"], OCHO),
    step("A mistake is told, and costs nothing:", &["scale *shop -f many", "deploy nowhere.yml", "grap"], OCHO),
    step("## Leave\n\n`exit`, Ctrl-D, or Ctrl-C at an empty prompt.", &["exit"], SHELL),
    step(
        "## From scripts\n\nThe same lines, one at a time. `-j` makes a tool print JSON, and the exit code tells how it ended.",
        &["ocho cli localhost ls -j", "ocho cli localhost off '*shop'; echo \"exit code $?\""],
        SHELL,
    ),
    step("`--json` tells of the run itself, whatever the tool printed:", &["ocho cli --json localhost grep nobody"], SHELL),
    step("What ran, and what it printed:", &["export OCHOPOD_PROXY=localhost", "ocho runs list -n 3"], SHELL),
    step(
        "## Clean up\n\nPods end gracefully, and the application goes with the last of them.",
        &["ocho cli kill '*shop' --force", "ocho cli ls"],
        SHELL,
    ),
];

/// tmux with its own server, in a network of its own.
struct Tmux {
    socket: String,
    /// What a command wrote that nobody typed.
    aside: PathBuf,
    _server: Background,
}

impl Tmux {
    fn start(home: &Path) -> Self {
        let socket = home.join("tmux").display().to_string();
        let path = format!("{}:{}", folder().display(), std::env::var("PATH").unwrap_or_default());
        let session = |name: &str| format!("new-session -d -s {name} -x 110 -y 60 'env PS1=\"$ \" bash --norc --noprofile'");
        // The server stays in the foreground, so that it ends with the test.
        let script = format!(
            "ip link set lo up && tmux -S {socket} -f /dev/null start-server \\; {} \\; {} \\; set -g history-limit 5000 && \
             exec tail --pid=$(tmux -S {socket} display -p '#{{pid}}') -f /dev/null",
            session(HOST),
            session(WORK)
        );
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-c", &script]).current_dir(home).env_clear();
        command.env("HOME", home).env("PATH", path).env("TERM", "xterm-256color").env("LANG", "C.UTF-8").env("NO_COLOR", "1");
        let server = Background::start(&mut command);
        let tmux = Self { socket, aside: home.join("aside"), _server: server };
        for name in [HOST, WORK] {
            wait::until_so("a shell", SOON, || tmux.shows(name) == SHELL.trim_end());
        }
        tmux
    }

    fn tell(&self, words: &[&str]) -> String {
        run(Command::new("tmux").args(["-S", &self.socket]).args(words), SOON).stdout
    }

    /// The whole terminal with what scrolled out of it, without blank lines at the end.
    fn shows(&self, name: &str) -> String {
        let text = self.tell(&["capture-pane", "-p", "-J", "-S", "-", "-t", name]);
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    fn last_line(&self, name: &str) -> String {
        self.shows(name).lines().last().unwrap_or_default().to_owned()
    }

    /// What lines of a shell print in this network, where nobody sees them.
    fn aside(&self, lines: &str) -> String {
        self.tell(&["run-shell", &format!("({lines}) > '{}' 2> /dev/null; true", self.aside.display())]);
        fs::read_to_string(&self.aside).unwrap_or_default()
    }

    /// Waits until what a line shows does not change any more by itself: the pods of the example start anew when one comes or goes, and
    /// leave the registry a moment after they were killed.
    fn settle(&self, line: &str) {
        match line {
            "grep *shop" => wait::until_so("pods that know each other", SOON, || self.pods_know_each_other()),
            "ocho cli ls" => wait::until_so("pods that are gone", SOON, || {
                let clusters = self.aside("ocho cli localhost ls -j");
                clusters.contains("marathon.portal") && !clusters.contains("shop")
            }),
            _ => {}
        }
    }

    /// Whether all run, and the page of each says which one of how many it is.
    fn pods_know_each_other(&self) -> bool {
        let told = self.aside(
            "ocho cli localhost grep '*shop' -j; \
             for port in $(ocho cli localhost port 80 '*shop' -j | grep -o '\"ports\": \"[0-9]*' | grep -o '[0-9]*$'); do \
             curl -s http://127.0.0.1:$port/ | grep '<h1>'; done",
        );
        let mut lines = told.lines();
        let pods: Value = lines.next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let Some(pods) = pods.as_object().filter(|pods| !pods.is_empty()) else { return false };
        let wanted: BTreeSet<String> =
            (0..pods.len()).map(|index| format!("<h1>shop: pod {index} of {}</h1>", pods.len())).collect();
        pods.values().all(|pod| pod["process"] == "running") && lines.map(str::to_owned).collect::<BTreeSet<_>>() == wanted
    }

    /// Clears the terminal, types the lines, and gives what it shows in the end.
    fn play(&self, step: &Step) -> String {
        let at_prompt = self.last_line(step.terminal);
        if self.shows(step.terminal) != at_prompt {
            // Only then: nobody could see when a terminal that is clear already was cleared once more.
            self.tell(&["send-keys", "-t", step.terminal, "C-l"]);
            wait::until_so("a clear terminal", SOON, || {
                self.tell(&["clear-history", "-t", step.terminal]);
                self.shows(step.terminal) == at_prompt
            });
        }
        for line in step.types {
            self.settle(line);
            let lines_before = self.shows(step.terminal).lines().count();
            self.tell(&["send-keys", "-t", step.terminal, "-l", line]);
            wait::until_so("the typed line", SOON, || self.last_line(step.terminal).contains(line));
            self.tell(&["send-keys", "-t", step.terminal, "Enter"]);
            wait::until_so(&format!("the end of `{line}`"), SOON, || {
                let shown = self.shows(step.terminal);
                let last = shown.lines().last().unwrap_or_default();
                let is_prompt = format!("{last} ") == step.until;
                (is_prompt && shown.lines().count() > lines_before)
                    || (!step.until.ends_with(' ') && shown.lines().any(|line| line.starts_with(step.until)))
            });
        }
        let shown = self.shows(step.terminal);
        if step.terminal == HOST {
            // The log would fill the page, and tells times.
            let told = |line: &&str| line.starts_with(SHELL) || line.starts_with(step.until);
            return shown.lines().filter(told).collect::<Vec<_>>().join("\n");
        }
        let lines: Vec<&str> = shown.lines().collect();
        let ends_with_prompt = lines.last().is_some_and(|last| format!("{last} ") == step.until);
        lines[..lines.len() - usize::from(ends_with_prompt)].join("\n")
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.tell(&["send-keys", "-t", HOST, "C-c"]);
        // The host stops its tasks first.
        let end = std::time::Instant::now() + Duration::from_secs(120);
        while self.last_line(HOST) != SHELL.trim_end() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.tell(&["kill-server"]);
    }
}

/// The page as the terminals show it now.
fn page() -> String {
    let home = tempfile::tempdir().unwrap();
    let tmux = Tmux::start(home.path());
    let mut page = INTRODUCTION.to_owned();
    for step in STEPS {
        let shown = tmux.play(step);
        page.push_str(&format!("\n{}\n\n```text\n{shown}\n```\n", step.tells));
    }
    page
}

/// What is different each time becomes the same.
fn settled(page: &str) -> String {
    let changes = [
        (r"[0-9A-HJKMNP-TV-Z]{26}", "RUN"),
        // Before the ports: on a slow machine these have five digits too.
        (r#""elapsed_ms": ?\d+"#, "ELAPSED"),
        (r"\d+(\.\d+)? (ms|s|min)( \d+ s)?", "TIME"),
        (r"\d{5}", "PORT"),
        (r"\d{4}-\d\d-\d\d[ T-]\d\d[:-]\d\d[:-]\d\d[,.]?\d*Z?", "DATE"),
        // Either pod may be the first.
        (r"leader|follower", "ROLE"),
        // Columns are as wide as their widest cell.
        (r" {2,}", "  "),
    ];
    changes.into_iter().fold(page.to_owned(), |text, (from, to)| Regex::new(from).unwrap().replace_all(&text, to).into_owned())
}

fn can_run() -> Result<(), &'static str> {
    let has = |command: &str| on_path(command).is_some();
    if !has("tmux") || !has("ip") || !has("curl") {
        return Err("tmux, iproute2 or curl is not installed");
    }
    if !has("python3") && !has("busybox") {
        return Err("neither python3 nor busybox is installed");
    }
    let network = Command::new("unshare").args(["--map-root-user", "--net", "ip", "link", "set", "lo", "up"]).output();
    if network.is_ok_and(|ended| ended.status.success()) { Ok(()) } else { Err("this machine lets nobody make a network") }
}

#[test]
fn a_working_session() {
    if let Err(why) = can_run() {
        return skip("a_working_session", why);
    }
    let file = root().join("docs/session.md");
    let page = page();
    if std::env::var_os("OCHO_REMAKE").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap();
    pretty(&settled(&written), &settled(&page));
}

#[track_caller]
fn pretty(written: &str, now: &str) {
    let different = written.lines().zip(now.lines()).find(|(written, now)| written != now);
    let lines = (written.lines().count(), now.lines().count());
    assert!(
        different.is_none() && lines.0 == lines.1,
        "docs/session.md is not what the terminal shows: {different:?} {lines:?}\n{now}"
    );
}
