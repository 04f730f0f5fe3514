//! Tables on a terminal: made to fit its width, with colours where a value says how things are.

use nu_ansi_term::{Color, Style};

/// Between two cells, as the tools print it.
const BORDER: &str = "  |  ";
/// No column gets narrower than this. The first one stays whole: it says which pod, cluster or run a row is about.
const NARROWEST: usize = 6;
/// Between the name of a column and its value, where a row is spread over lines.
const GAP: &str = "  ";
/// A longer table is printed in parts, each with widths of its own.
const ROWS_LIMIT: usize = 10_000;

/// Finds the tables in a text that comes in pieces, and passes everything else on as it is.
#[derive(Debug)]
pub(super) struct Tables {
    columns: usize,
    colour: bool,
    /// The rows so far of a table that goes on.
    rows: Vec<String>,
    /// A line that goes on.
    line: String,
    /// Its beginning was shown already: it is no row.
    passing: bool,
}

impl Tables {
    /// For a terminal with so many columns.
    pub(super) fn new(columns: usize, colour: bool) -> Self {
        Self { columns, colour, rows: Vec::new(), line: String::new(), passing: false }
    }

    /// Takes the next piece, gives what can be shown.
    pub(super) fn push(&mut self, text: &str) -> String {
        let text = std::mem::take(&mut self.line) + text;
        let (mut rest, mut shown) = (text.as_str(), String::new());
        while let Some((line, behind)) = rest.split_once('\n') {
            rest = behind;
            let passing = std::mem::take(&mut self.passing);
            if !passing && is_row(line) && self.rows.len() < ROWS_LIMIT {
                self.rows.push(line.to_owned());
            } else {
                shown.push_str(&self.table());
                shown.push_str(line);
                shown.push('\n');
            }
        }
        // A line that cannot become a row ends the table, and is shown as it grows.
        self.passing |= !may_become_row(rest);
        if self.passing {
            shown.push_str(&self.table());
            shown.push_str(rest);
        } else {
            rest.clone_into(&mut self.line);
        }
        shown
    }

    /// What was held back.
    pub(super) fn finish(&mut self) -> String {
        self.table() + &std::mem::take(&mut self.line)
    }

    /// The rows that were collected, fitted and coloured.
    fn table(&mut self) -> String {
        let rows = std::mem::take(&mut self.rows);
        let cells: Vec<Vec<&str>> = rows.iter().map(|row| row.split(BORDER).map(str::trim_end).collect()).collect();
        let Some(first) = cells.first() else { return String::new() };
        // The tools print a row of blanks below the first one.
        let is_table = cells.get(1).is_some_and(|row| row.iter().all(|cell| cell.is_empty()));
        if !is_table || cells.iter().any(|row| row.len() != first.len()) {
            return rows.iter().map(|row| format!("{row}\n")).collect();
        }
        match fit(widths(&cells), self.columns) {
            Some(widths) => cells.iter().enumerate().map(|(nth, row)| self.row(nth, row, &widths)).collect(),
            None => cells[2..].iter().map(|row| self.spread(&cells[0], row)).collect(),
        }
    }

    /// A row of a table that is too wide: its first cell, and below it a line for each other cell that is not empty.
    fn spread(&self, names: &[&str], cells: &[&str]) -> String {
        let width = names.iter().skip(1).map(|name| name.chars().count()).max().unwrap_or(0);
        let mut lines = self.paint(cells[0], Style::new().bold()) + "\n";
        for (name, cell) in names.iter().zip(cells).skip(1).filter(|(_, cell)| !cell.is_empty()) {
            let text = cut(cell, self.columns.saturating_sub(width + 2 * GAP.len()).max(NARROWEST));
            lines += &format!("{GAP}{name:width$}{GAP}{}\n", self.paint(&text, style_of(cell)));
        }
        lines
    }

    fn paint(&self, text: &str, style: Style) -> String {
        if self.colour && !text.is_empty() { style.paint(text).to_string() } else { text.to_owned() }
    }

    fn row(&self, nth: usize, cells: &[&str], widths: &[usize]) -> String {
        let shown: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| {
                let text = cut(cell, *width);
                let blanks = " ".repeat(width - text.chars().count());
                let style = if nth == 0 { Style::new().bold() } else { style_of(cell) };
                self.paint(&text, style) + &blanks
            })
            .collect();
        format!("{}\n", shown.join(BORDER).trim_end())
    }
}

fn is_row(line: &str) -> bool {
    line.contains(BORDER) && may_become_row(line)
}

/// Anything but a line that is too long for one, or holds colours of its own.
fn may_become_row(line: &str) -> bool {
    line.len() < 4096 && !line.contains('\x1b') && !line.starts_with(['{', '[', '<'])
}

fn widths(rows: &[Vec<&str>]) -> Vec<usize> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect()
}

/// Takes from the widest column but the first until the table fits; none where it cannot.
fn fit(mut widths: Vec<usize>, columns: usize) -> Option<Vec<usize>> {
    let borders = BORDER.len() * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + borders > columns {
        let widest = widths.iter_mut().skip(1).max().filter(|width| **width > NARROWEST)?;
        *widest -= 1;
    }
    Some(widths)
}

/// As much of a text as fits.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

/// Values that say how a pod is, and `2/3`, which says how many of a cluster run.
fn style_of(cell: &str) -> Style {
    match cell {
        "running" => Color::Green.normal(),
        "stopped" | "terminated" | "dead" => Color::Red.normal(),
        "leader" => Style::new().bold(),
        _ => match cell.split_once('/').map(|(running, total)| (running.parse::<u32>(), total.parse::<u32>())) {
            Some((Ok(running), Ok(total))) if running < total => Color::Yellow.normal(),
            Some((Ok(_), Ok(_))) => Color::Green.normal(),
            _ => Style::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LS: &str = "2 pods, 100% replies ->\n\ncluster          |  ok   |  status\n                 |       |        \n\
                      marathon.portal  |  1/1  |        \ntest.web-server  |  1/2  |  éé    \n\nend\n";

    fn shown(text: &str, columns: usize) -> String {
        let mut tables = Tables::new(columns, false);
        tables.push(text) + &tables.finish()
    }

    #[test]
    fn a_table_that_fits_loses_only_blanks_at_its_right() {
        let trimmed: String = LS.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        assert_eq!(shown(LS, 80), trimmed);
    }

    #[test]
    fn a_table_is_made_to_fit_and_its_first_column_stays_whole() {
        let poll = "pod         |  metrics                 \n            |                          \n\
                    test.a #12  |  {\"uptime\": 1, \"x\": \"y\"}\n";
        assert_eq!(shown(poll, 30), "pod         |  metrics\n            |\ntest.a #12  |  {\"uptime\": 1, …\n");
    }

    #[test]
    fn a_table_that_cannot_fit_is_spread_over_lines() {
        let spread =
            "2 pods, 100% replies ->\n\nmarathon.portal\n  ok      1/1\ntest.web-server\n  ok      1/2\n  status  éé\n\nend\n";
        assert_eq!(shown(LS, 28), spread);
        assert_eq!(shown(LS, 1), spread);
        let long = format!("pod  |  metrics\n     |         \n{}  |  {}\n", "a".repeat(30), "b".repeat(30));
        assert_eq!(shown(&long, 20), format!("{}\n  metrics  bbbbbbbb…\n", "a".repeat(30)));
    }

    #[test]
    fn values_have_colours() {
        let mut tables = Tables::new(80, true);
        let text = tables.push("pod  |  process  |  ok \n     |           |     \na  |  running  |  1/2\nb  |  dead  |  2/2\n")
            + &tables.finish();
        assert_eq!(
            text.replace('\x1b', "^"),
            "^[1mpod^[0m  |  ^[1mprocess^[0m  |  ^[1mok^[0m\n     |           |\na    |  ^[32mrunning^[0m  |  ^[33m1/2^[0m\n\
             b    |  ^[31mdead^[0m     |  ^[32m2/2^[0m\n"
        );
    }

    #[test]
    fn what_is_no_table_stays_as_it_is() {
        for text in [
            "",
            "no newline",
            "a  |  b\nc\n",
            "a  |  b  |  c\n   |     |   \nd  |  e\n",
            "a log  |  with bars   \n",
            "a log  |  with bars\nand  |  more  \n",
            "{\"a\": \"x  |  y \"}\n",
            "{\"a\": \"x  |  y\"}",
            "\x1b[31mred\x1b[0m  |  x\n",
            "\n\n\t \n",
        ] {
            assert_eq!(shown(text, 80), text, "{text:?}");
        }
    }

    #[test]
    fn it_does_not_matter_where_text_is_cut() {
        let mut tables = Tables::new(30, true);
        let pieces: String = LS.chars().map(|c| tables.push(&c.to_string())).collect();
        let mut whole = Tables::new(30, true);
        let at_once = whole.push(LS) + &whole.finish();
        assert_eq!(pieces + &tables.finish(), at_once);
    }

    #[test]
    fn a_text_of_a_million_lines_is_passed_on() {
        let text = "x\n".repeat(1_000_000);
        assert!(shown(&text, 80) == text);
        let text = format!("a  |  b\n{}", "c".repeat(100_000));
        let mut tables = Tables::new(80, false);
        assert_eq!(tables.push("a  |  b\n"), "");
        assert!(tables.push(&text[8..]) == text, "a row and a line that is none");
    }

    #[test]
    fn a_line_that_is_no_row_is_shown_as_it_grows() {
        let mut tables = Tables::new(80, false);
        assert_eq!(tables.push("{\"a\": "), "{\"a\": ");
        assert_eq!(tables.push("\"  |  \"}\n  |  "), "\"  |  \"}\n");
        assert_eq!(tables.finish(), "  |  ");
    }
}
