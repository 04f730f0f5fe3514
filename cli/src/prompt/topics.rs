//! What a host can be asked for completion, and how its answers read.

use serde_json::{Map, Value};

/// A question to the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// The names of its tools.
    Tools,
    /// The names of the clusters that it sees.
    Clusters,
    /// The switches of a tool.
    Switches(String),
}

/// One thing that can be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    /// A few words about it.
    pub(super) about: Option<String>,
}

impl Known {
    fn name(name: &str) -> Self {
        Self { name: name.to_owned(), about: None }
    }
}

impl Topic {
    /// The command that asks.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Tools => "help".to_owned(),
            Self::Clusters => "ls -j".to_owned(),
            Self::Switches(tool) => format!("{tool} --help"),
        }
    }

    /// Reads the answer; nothing where it is not what was asked for.
    pub(super) fn read(&self, answer: &str) -> Option<Vec<Known>> {
        match self {
            Self::Tools => tools(answer),
            Self::Clusters => clusters(answer),
            Self::Switches(_) => Some(switches(answer)),
        }
    }
}

/// `available commands -> bump, deploy, ...`
fn tools(answer: &str) -> Option<Vec<Known>> {
    let (_, tools) = answer.split_once("available commands -> ")?;
    let names = tools.lines().next().unwrap_or_default().split(", ").map(str::trim);
    Some(names.filter(|name| !name.is_empty() && !name.contains(char::is_whitespace)).map(Known::name).collect())
}

/// `{"marathon.web": {...}, ...}`, perhaps below lines of another kind.
fn clusters(answer: &str) -> Option<Vec<Known>> {
    let clusters: Map<String, Value> = serde_json::from_str(answer.lines().next_back()?).ok()?;
    Some(clusters.keys().map(|name| Known::name(name)).collect())
}

/// The lines below `optional arguments:`, such as `  -i N [N ...], --indices N [N ...]  which pods`.
fn switches(answer: &str) -> Vec<Known> {
    let lines = answer.lines().skip_while(|line| line.trim_end() != "optional arguments:").skip(1);
    let mut switches: Vec<Known> = Vec::new();
    // Spellings of the last switch: they share the words about it, which may begin on the next line.
    let mut last = 0..0;
    for line in lines.take_while(|line| line.starts_with(' ') || line.is_empty()) {
        let text = line.trim();
        let (spellings, about) = match line.starts_with("  -") {
            true => text.split_once("  ").unwrap_or((text, "")),
            false => ("", text),
        };
        if !spellings.is_empty() {
            let from = switches.len();
            switches.extend(spellings.split(", ").filter_map(|spelling| spelling.split(' ').next()).map(Known::name));
            last = from..switches.len();
        }
        for switch in &mut switches[last.clone()] {
            if switch.about.is_none() && !about.trim().is_empty() {
                switch.about = Some(about.trim().to_owned());
            }
        }
    }
    switches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(known: Option<Vec<Known>>) -> Option<Vec<String>> {
        known.map(|known| known.into_iter().map(|known| known.name).collect())
    }

    #[test]
    fn tools_stand_in_the_answer_to_help() {
        let read = |answer| names(Topic::Tools.read(answer));
        assert_eq!(read("available commands -> grep, ls\nmore").unwrap(), ["grep", "ls"]);
        assert_eq!(read("available commands -> ").unwrap(), [""; 0]);
        assert_eq!(read("something else"), None);
    }

    #[test]
    fn clusters_are_the_keys_of_ls() {
        let read = |answer| names(Topic::Clusters.read(answer));
        assert_eq!(read(r#"{"marathon.web": {"total": 2}, "x.y": {}}"#).unwrap(), ["marathon.web", "x.y"]);
        assert_eq!(read("a debug line\n{}").unwrap(), [""; 0]);
        assert_eq!(read("[]"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn switches_stand_in_the_help_of_a_tool() {
        let help = "usage: kill [-h] [-i INDICES [INDICES ...]] clusters\n\n positional arguments:\n  clusters  patterns\n\n\
                    optional arguments:\n  -h, --help  show this help message\n  -i INDICES [INDICES ...], --indices INDICES [INDICES ...]\n\
                    \u{20}             numbers of the pods\n              (e.g. -i 0)\n  --force     go ahead\n\nExit codes:\n  -1  no switch";
        let known = Topic::Switches("kill".to_owned()).read(help).unwrap();
        let shown: Vec<String> =
            known.iter().map(|known| format!("{}: {}", known.name, known.about.as_deref().unwrap_or_default())).collect();
        assert_eq!(
            shown,
            [
                "-h: show this help message",
                "--help: show this help message",
                "-i: numbers of the pods",
                "--indices: numbers of the pods",
                "--force: go ahead"
            ]
        );
        assert_eq!(Topic::Switches("x".to_owned()).read("no help"), Some(Vec::new()));
    }
}
