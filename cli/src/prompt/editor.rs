//! The line editor: prompt, history, completion, and what Ctrl-C and Ctrl-D mean.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nu_ansi_term::{Color, Style};
use reedline::{
    ColumnarMenu, DefaultHinter, Emacs, Highlighter, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode,
    PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal, StyledText, default_emacs_keybindings,
};

use super::catalog::Catalog;
use super::complete::Completion;
use super::history;
use crate::blame::Failure;
use crate::screen::Screen;

const MENU: &str = "completion";
/// Between the host and the line; the same while a menu is open.
const INDICATOR: &str = " > ";

/// What the user did at the prompt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    Line(String),
    /// A line was thrown away.
    Nothing,
    Leave,
}

pub(super) struct Editor {
    reedline: Reedline,
    prompt: HostPrompt,
    line_is_empty: Arc<AtomicBool>,
}

impl Editor {
    pub(super) fn new(host: &str, screen: Screen, catalog: Catalog) -> Self {
        let line_is_empty = Arc::new(AtomicBool::new(true));
        let painter =
            Painter { catalog: catalog.clone(), line_is_empty: Arc::clone(&line_is_empty), colour: screen.has_colour() };
        let mut reedline = Reedline::create()
            .with_ansi_colors(screen.has_colour())
            .with_completer(Box::new(Completion::new(catalog)))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU).with_marker(INDICATOR))))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_edit_mode(Box::new(keys()))
            .with_highlighter(Box::new(painter))
            // As in a shell: a line with a secret in it can be kept out of the file.
            .with_history_exclusion_prefix(Some(" ".to_owned()));
        if screen.has_colour() {
            reedline = reedline.with_hinter(Box::new(DefaultHinter::default().with_style(Style::new().fg(Color::DarkGray))));
        }
        match history::open() {
            Ok(history) => reedline = reedline.with_history(Box::new(history)),
            Err(error) => screen.hint(&format!("lines are not remembered: {error}")),
        }
        Self { reedline, prompt: HostPrompt { host: host.to_owned() }, line_is_empty }
    }

    /// Waits for a line. Ctrl-C at an empty prompt leaves, in a line it throws the line away.
    pub(super) fn read(&mut self) -> Result<Input, Failure> {
        let signal = self.reedline.read_line(&self.prompt);
        let was_empty = self.line_is_empty.load(Ordering::Relaxed);
        match signal {
            Ok(Signal::Success(line)) => {
                // Written at once: a terminal that is closed gives no other chance. A full disk does not stop the talk.
                let _ = self.reedline.sync_history();
                Ok(Input::Line(line))
            }
            Ok(Signal::CtrlD) => Ok(Input::Leave),
            Ok(Signal::CtrlC) if was_empty => Ok(Input::Leave),
            Ok(_) => Ok(Input::Nothing),
            Err(error) => {
                Err(Failure::Machine { what: "cannot use this terminal", cause: std::io::Error::other(error.to_string()) })
            }
        }
    }
}

fn keys() -> Emacs {
    let mut keys = default_emacs_keybindings();
    let complete = vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(complete));
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    Emacs::new(keys)
}

/// `<host> > `.
struct HostPrompt {
    host: String,
}

impl Prompt for HostPrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.host)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed(INDICATOR)
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!(" (search: {}) > ", search.term))
    }
}

/// Colours the line, and remembers whether there is one: the editor clears it before it tells of Ctrl-C.
struct Painter {
    catalog: Catalog,
    line_is_empty: Arc<AtomicBool>,
    colour: bool,
}

impl Highlighter for Painter {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        self.line_is_empty.store(line.is_empty(), Ordering::Relaxed);
        let tool_end = line.find(char::is_whitespace).unwrap_or(line.len());
        let (tool, rest) = line.split_at(tool_end);
        let known = self.colour && self.catalog.is_tool(tool);
        let mut text = StyledText::new();
        text.push((if known { Style::new().fg(Color::Green) } else { Style::new() }, tool.to_owned()));
        text.push((Style::new(), rest.to_owned()));
        text
    }
}
