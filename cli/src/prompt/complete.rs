//! What the Tab key offers: tools, their switches, clusters, and files where a word may be one.

use std::fs;
use std::path::{Path, PathBuf};

use ocho_core::command_line;
use reedline::{Completer, CompletionResult, Span, Suggestion};

use super::catalog::Catalog;
use super::topics::{Known, Topic};
use crate::upload::{Position, is_path, positions};

/// A larger folder is looked at in part.
const ENTRIES_LIMIT: usize = 5_000;

pub(super) struct Completion {
    catalog: Catalog,
}

impl Completion {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self { catalog }
    }
}

impl Completer for Completion {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let typed = Typed::before(&line[..pos]);
        let offers = match offered(&typed) {
            Offer::Tools => self.tools(&typed.word),
            Offer::Switches(tool) if self.catalog.is_tool(&tool) => self.known(&Topic::Switches(tool), &typed.word),
            Offer::Switches(_) => Vec::new(),
            Offer::Clusters => clusters(self.catalog.get(&Topic::Clusters), &typed.word),
            Offer::Files => files(&typed.word, std::env::home_dir().as_deref()),
            Offer::Nothing => Vec::new(),
        };
        let span = Span::new(typed.start, pos);
        let suggestions: Vec<Suggestion> = offers.into_iter().map(|offer| offer.suggest(span)).collect();
        CompletionResult::fresh(suggestions)
    }
}

impl Completion {
    fn tools(&self, beginning: &str) -> Vec<Offered> {
        let mut offers = self.known(&Topic::Tools, beginning);
        offers.extend(["help", "exit"].iter().filter(|name| name.starts_with(beginning)).map(|name| Offered::word(name, None)));
        offers.sort_by(|a, b| a.value.cmp(&b.value));
        offers.dedup();
        offers
    }

    fn known(&self, topic: &Topic, beginning: &str) -> Vec<Offered> {
        let known = self.catalog.get(topic);
        let fitting = known.into_iter().filter(|known| known.name.starts_with(beginning));
        fitting.map(|Known { name, about }| Offered::word(&name, about)).collect()
    }
}

/// Clusters are looked for by their whole names and by their last parts. Who begins with a star gets a pattern.
fn clusters(known: Vec<Known>, typed: &str) -> Vec<Offered> {
    let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let mut offers: Vec<Offered> = match typed.strip_prefix('*') {
        Some(beginning) => {
            let names = known.iter().map(|known| short(&known.name)).filter(|name| name.starts_with(beginning));
            // A plain pattern: it is no shell that reads it, so it needs no quotes.
            let pattern =
                |name: String| Offered { value: format!("*{name}"), shown: format!("*{name}"), about: None, complete: true };
            names.map(pattern).collect()
        }
        None => {
            let fits = |name: &str| name.starts_with(typed) || short(name).starts_with(typed);
            known.into_iter().filter(|known| fits(&known.name)).map(|known| Offered::word(&known.name, known.about)).collect()
        }
    };
    offers.sort_by(|a, b| a.value.cmp(&b.value));
    offers.dedup();
    offers
}

/// One thing to offer.
#[derive(Debug, PartialEq, Eq)]
struct Offered {
    value: String,
    shown: String,
    about: Option<String>,
    /// Whether the word ends here; a folder goes on.
    complete: bool,
}

impl Offered {
    fn word(name: &str, about: Option<String>) -> Self {
        Self { value: command_line::join(&[name]), shown: name.to_owned(), about, complete: true }
    }

    fn suggest(self, span: Span) -> Suggestion {
        Suggestion {
            value: self.value,
            display_override: Some(self.shown),
            description: self.about,
            append_whitespace: self.complete,
            span,
            ..Suggestion::default()
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Offer {
    Tools,
    Switches(String),
    Clusters,
    Files,
    Nothing,
}

fn offered(typed: &Typed) -> Offer {
    if typed.words_before.is_empty() {
        return Offer::Tools;
    }
    if typed.word.starts_with('-') {
        return Offer::Switches(typed.words_before[0].clone());
    }
    let mut words = typed.words_before.clone();
    words.push(typed.word.clone());
    match positions(&words).last() {
        Some(Position::File { from: 0 }) => Offer::Files,
        Some(Position::Path) if is_path(&typed.word) => Offer::Files,
        _ if takes_cluster(&typed.words_before) => Offer::Clusters,
        _ => Offer::Nothing,
    }
}

/// Whether the next word may be the name of a cluster.
fn takes_cluster(words_before: &[String]) -> bool {
    let Some((tool, rest)) = words_before.split_first() else { return false };
    let takes_value = |word: &String| ["-t", "-v", "-f", "-g"].contains(&word.as_str());
    if rest.last().is_some_and(takes_value) {
        return false;
    }
    let plain = rest.iter().filter(|word| !word.starts_with('-')).count();
    match tool.as_str() {
        "bump" | "kill" | "off" | "on" | "reset" | "scale" => true,
        "exec" | "grep" | "log" | "poll" => plain == 0,
        "port" => plain == 1,
        _ => false,
    }
}

/// What stands before the cursor: complete words, and the word that is being typed, without its quotes.
#[derive(Debug, PartialEq, Eq)]
struct Typed {
    words_before: Vec<String>,
    word: String,
    /// Where the word begins, in bytes.
    start: usize,
}

impl Typed {
    fn before(text: &str) -> Self {
        let start = start_of_last_word(text);
        let words_before = command_line::split(&text[..start]).unwrap_or_default();
        // An open quote is closed for reading: the user is still inside.
        let read = |closing: &str| command_line::split(&format!("{}{closing}", &text[start..])).ok();
        let word = ["", "\\", "'", "\""].iter().find_map(|closing| read(closing)).unwrap_or_default();
        Self { words_before, word: word.into_iter().next().unwrap_or_default(), start }
    }
}

fn start_of_last_word(text: &str) -> usize {
    let mut start = 0;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => drop(chars.next()),
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if c.is_ascii_whitespace() => start = at + 1,
            (None, _) => {}
        }
    }
    start
}

/// Files and folders whose path begins as typed. Hidden ones are offered to who types the dot.
fn files(typed: &str, home: Option<&Path>) -> Vec<Offered> {
    let (folder, beginning) = typed.rsplit_once('/').map_or(("", typed), |(folder, _)| typed.split_at(folder.len() + 1));
    let place = match (folder.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => home.join(below),
        _ if folder.is_empty() => PathBuf::from("."),
        _ => PathBuf::from(folder),
    };
    let Ok(entries) = fs::read_dir(place) else { return Vec::new() };
    let mut offers: Vec<Offered> = entries
        .take(ENTRIES_LIMIT)
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let hidden = name.starts_with('.') && !beginning.starts_with('.');
            let fits = name.starts_with(beginning) && !hidden && !name.contains(char::is_control);
            fits.then(|| offer_file(folder, &name, entry.path().is_dir()))
        })
        .collect();
    offers.sort_by(|a, b| a.shown.cmp(&b.shown));
    offers
}

fn offer_file(folder: &str, name: &str, is_folder: bool) -> Offered {
    let slash = if is_folder { "/" } else { "" };
    let value = command_line::join(&[format!("{folder}{name}{slash}")]);
    Offered { value, shown: format!("{name}{slash}"), about: None, complete: !is_folder }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_before_the_cursor() {
        let typed = |text| {
            let typed = Typed::before(text);
            (typed.words_before.join("|"), typed.word, typed.start)
        };
        assert_eq!(typed(""), (String::new(), String::new(), 0));
        assert_eq!(typed("  gr"), (String::new(), "gr".into(), 2));
        assert_eq!(typed("deploy a.yml "), ("deploy|a.yml".into(), String::new(), 13));
        assert_eq!(typed("deploy 'my file"), ("deploy".into(), "my file".into(), 7));
        assert_eq!(typed("deploy my\\ fi"), ("deploy".into(), "my fi".into(), 7));
        assert_eq!(typed("deploy \"a b"), ("deploy".into(), "a b".into(), 7));
        assert_eq!(typed("x é\\"), ("x".into(), "é\\".into(), 2));
    }

    #[test]
    fn files_are_offered_where_a_word_may_be_one() {
        for (text, offer) in [
            ("", Offer::Tools),
            ("de", Offer::Tools),
            ("deploy ", Offer::Files),
            ("deploy -n ", Offer::Nothing),
            ("exec web run ", Offer::Files),
            ("deploy -", Offer::Switches("deploy".to_owned())),
            ("exec --f", Offer::Switches("exec".to_owned())),
            ("exec ", Offer::Clusters),
            ("grep we", Offer::Clusters),
            ("grep a ", Offer::Nothing),
            ("port ", Offer::Nothing),
            ("port 80 ", Offer::Clusters),
            ("kill a --force b", Offer::Clusters),
            ("kill a -t ", Offer::Nothing),
            ("scale -f ", Offer::Nothing),
            ("mine a", Offer::Nothing),
            ("mine ./", Offer::Files),
        ] {
            assert_eq!(offered(&Typed::before(text)), offer, "{text}");
        }
    }

    #[test]
    fn clusters_are_found_by_either_part_of_their_names() {
        let offered = |typed: &str| -> Vec<String> {
            let names = ["marathon.shop", "test.shop", "test.db"];
            let known = names.map(|name| Known { name: name.to_owned(), about: None });
            clusters(known.into(), typed).into_iter().map(|offer| offer.value).collect()
        };
        assert_eq!(offered("te"), ["test.db", "test.shop"]);
        assert_eq!(offered("sh"), ["marathon.shop", "test.shop"]);
        assert_eq!(offered("*sh"), ["*shop"]);
        assert_eq!(offered("*"), ["*db", "*shop"]);
        assert_eq!(offered("*x"), [""; 0]);
    }

    #[test]
    fn files_of_a_folder() {
        let room = tempfile::tempdir().unwrap();
        for name in ["web.yml", "we b.yml", ".hidden", "other"] {
            fs::write(room.path().join(name), "").unwrap();
        }
        fs::create_dir(room.path().join("web")).unwrap();
        let values =
            |typed: &str| -> Vec<String> { files(typed, Some(room.path())).into_iter().map(|offer| offer.value).collect() };
        assert_eq!(values("~/we"), ["'~/we b.yml'", "~/web.yml", "~/web/"]);
        assert_eq!(values("~/.h"), ["~/.hidden"]);
        assert_eq!(values("~/web/"), [""; 0]);
        assert_eq!(values("/no/such/folder/x"), [""; 0]);
        let at = room.path().display();
        assert_eq!(values(&format!("{at}/o")), [format!("{at}/other")]);
    }
}
