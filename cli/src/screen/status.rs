//! What a command waits for, as one line of a terminal that changes in place.
//!
//! Tools tell it on standard error, a line for each change: `web.yml : 1/3 pods are up`. On a pipe these lines stay.

use std::io::{self, Write};

/// What tools say of pods that they wait for.
const WAITED_FOR: [&str; 2] = ["pods are up", "pods have ended"];
/// Back to the beginning of the line, which is cleared.
const CLEAR: &str = "\r\x1b[K";

/// The line, and what it tells. Dropping it takes the line off the screen.
#[derive(Debug)]
pub(super) struct Status {
    /// Of the terminal.
    columns: usize,
    /// For each item that was named, in the order of the first time: the newest line about it.
    items: Vec<(String, String)>,
    is_shown: bool,
}

impl Status {
    /// For a terminal with so many columns.
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, items: Vec::new(), is_shown: false }
    }

    /// Takes the lines that tell how far a tool is out of a piece of text, gives the rest.
    pub(super) fn take(&mut self, text: &str) -> String {
        text.split_inclusive('\n').filter(|line| !self.hear(line)).collect()
    }

    /// Whether the line tells how far a tool is.
    fn hear(&mut self, line: &str) -> bool {
        let Some((item, line)) = line.strip_suffix('\n').and_then(|line| Some((item(line)?, line))) else { return false };
        match self.items.iter_mut().find(|(known, _)| known == item) {
            Some((_, newest)) => line.clone_into(newest),
            None => self.items.push((item.to_owned(), line.to_owned())),
        }
        true
    }

    /// What takes the line off the screen.
    pub(super) fn hide(&mut self) -> &'static str {
        if std::mem::take(&mut self.is_shown) { CLEAR } else { "" }
    }

    /// What brings the line onto the screen, at the beginning of a line.
    pub(super) fn show(&mut self) -> String {
        if self.items.is_empty() {
            return String::new();
        }
        self.is_shown = true;
        let lines: Vec<&str> = self.items.iter().map(|(_, line)| line.as_str()).collect();
        // The last column stays free: a terminal that is full would begin the next line.
        let text = super::tables::cut(&lines.join(" | "), self.columns.saturating_sub(1));
        format!("{CLEAR}{text}")
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        // Nobody is left to tell it to when standard error is closed.
        let _ = io::stderr().lock().write_all(self.hide().as_bytes());
    }
}

/// The item that a line tells of, if it reads as `<item> : <count>/<count> pods ...`.
fn item(line: &str) -> Option<&str> {
    let (item, state) = line.rsplit_once(" : ")?;
    let (counts, of_what) = state.split_once(' ')?;
    let (done, all) = counts.split_once('/')?;
    let is_count = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_count(done) && is_count(all) && WAITED_FOR.contains(&of_what)).then_some(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_tell_how_far_a_tool_is() {
        assert_eq!(item("web.yml : 1/3 pods are up"), Some("web.yml"));
        assert_eq!(item("a : b : 10/30 pods have ended"), Some("a : b"));
        for other in
            ["", "web : 1/3 pods", "web : 1 pods are up", "web : x/3 pods are up", "web : / pods are up", "1/3 pods are up"]
        {
            assert_eq!(item(other), None, "{other}");
        }
    }

    #[test]
    fn each_item_has_its_newest_line() {
        let mut status = Status::new(80);
        assert_eq!(
            status.take("a : 0/2 pods are up\nweb #1: no answer\nb : 0/1 pods are up\na : 1/2 pods are up\nhalf"),
            "web #1: no answer\nhalf"
        );
        assert_eq!(status.show(), "\r\x1b[Ka : 1/2 pods are up | b : 0/1 pods are up");
        assert_eq!((status.hide(), status.hide()), (CLEAR, ""));
    }

    #[test]
    fn it_never_needs_a_second_line() {
        let mut status = Status::new(12);
        assert_eq!(status.show(), "");
        assert_eq!(status.take("web.yml : 0/2 pods are up\n"), "");
        assert_eq!(status.show(), "\r\x1b[Kweb.yml : …");
        assert_eq!(status.hide(), CLEAR);
    }
}
