//! The text of `--help`, laid out as `argparse` does on 80 columns.

use super::{Count, Positional, Switch, Takes, Usage};

/// 80 columns, less the two that `argparse` leaves free.
const WIDTH: usize = 78;
/// No explanation starts further to the right.
const HELP_AT_MOST_AT: usize = 24;

pub(super) fn text(usage: &Usage) -> String {
    let arguments: Vec<(String, &str)> = usage.positionals.iter().map(|p| (p.name.to_owned(), p.help)).collect();
    let switches: Vec<(String, &str)> = usage.switches.iter().map(|switch| (invocation(switch), switch.help)).collect();
    let longest = arguments.iter().chain(&switches).map(|(shown, _)| shown.chars().count() + 2).max().unwrap_or(0);
    let help_at = HELP_AT_MOST_AT.min(longest + 2);

    let mut parts = vec![usage_lines(usage), wrap(usage.about, WIDTH).join("\n")];
    if !arguments.is_empty() {
        parts.push(section("positional arguments:", &arguments, help_at));
    }
    parts.push(section("optional arguments:", &switches, help_at));
    parts.join("\n\n")
}

fn usage_lines(usage: &Usage) -> String {
    let switches: Vec<String> = usage.switches.iter().map(|switch| format!("[{}]", with_values(switch, 0))).collect();
    let positionals: Vec<String> = usage.positionals.iter().flat_map(positional_parts).collect();
    let start = format!("usage: {}", usage.tool);
    let one_line = [std::slice::from_ref(&start), switches.as_slice(), positionals.as_slice()].concat().join(" ");
    if one_line.len() <= WIDTH {
        return one_line;
    }
    let indent = " ".repeat(start.len() + 1);
    let mut lines = fill(&start, &switches, &indent);
    if !positionals.is_empty() {
        lines.extend(fill("", &positionals, &indent));
    }
    lines.join("\n")
}

/// Puts parts on lines: the first begins with `start` (or the indent), the others with the indent.
fn fill(start: &str, parts: &[String], indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = if start.is_empty() { indent.trim_end_matches(' ').to_owned() } else { start.to_owned() };
    let mut is_empty = start.is_empty();
    for part in parts {
        let length = if is_empty { indent.len() } else { line.len() + 1 };
        if !is_empty && length + part.len() > WIDTH {
            lines.push(std::mem::take(&mut line));
            is_empty = true;
        }
        line.push_str(if is_empty { indent } else { " " });
        line.push_str(part);
        is_empty = false;
    }
    lines.push(line);
    lines
}

fn positional_parts(positional: &Positional) -> Vec<String> {
    let name = positional.name;
    match positional.count {
        Count::One => vec![name.to_owned()],
        Count::ZeroOrOne => vec![format!("[{name}]")],
        Count::OneOrMore => vec![name.to_owned(), format!("[{name} ...]")],
    }
}

/// `-i INDICES [INDICES ...], --indices INDICES [INDICES ...]`
fn invocation(switch: &Switch) -> String {
    let each: Vec<String> = (0..switch.spellings.len()).map(|nth| with_values(switch, nth)).collect();
    each.join(", ")
}

fn with_values(switch: &Switch, nth: usize) -> String {
    let spelling = switch.spellings[nth];
    let value = switch.name.to_ascii_uppercase();
    match switch.takes {
        Takes::Nothing => spelling.to_owned(),
        Takes::One(_) => format!("{spelling} {value}"),
        Takes::Many(_) => format!("{spelling} {value} [{value} ...]"),
    }
}

fn section(title: &str, entries: &[(String, &str)], help_at: usize) -> String {
    let mut lines = vec![title.to_owned()];
    let indent = " ".repeat(help_at);
    for (shown, help) in entries {
        let mut help_lines = wrap(help, WIDTH - help_at).into_iter();
        if shown.len() + 4 <= help_at {
            let first = help_lines.next().unwrap_or_default();
            lines.push(format!("  {shown:<width$}{first}", width = help_at - 2).trim_end().to_owned());
        } else {
            lines.push(format!("  {shown}"));
        }
        lines.extend(help_lines.map(|line| format!("{indent}{line}")));
    }
    lines.join("\n")
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
