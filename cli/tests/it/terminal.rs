//! A terminal for tests: the program sits on a pty, and a screen in memory shows what a person would see.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use pty_process::Size;
use pty_process::blocking::{Command, open};

use crate::portal::LONG;
use crate::program::User;

/// Where is the cursor?
const QUESTION: &[u8] = b"\x1b[6n";
const ROWS: NonZeroU16 = NonZeroU16::new(30).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).unwrap();

struct Shared {
    screen: Mutex<Screen>,
    changed: Condvar,
}

struct Screen {
    parser: vt100::Parser,
    ended: bool,
}

/// A program on a terminal.
pub(crate) struct Terminal {
    keys: std::fs::File,
    child: Child,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    pub(crate) fn start(user: &User, words: &[&str]) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(ROWS.get(), COLUMNS.get())).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_ocho"))
            .args(words)
            .env_clear()
            .env("TERM", "xterm-256color")
            .envs(user.environment())
            .current_dir(user.home());
        let child = command.spawn(pts).unwrap();
        let duplicate = || std::fs::File::from(pty.as_fd().try_clone_to_owned().unwrap());
        let screen = Screen { parser: vt100::Parser::new(ROWS, COLUMNS, 0), ended: false };
        let shared = Arc::new(Shared { screen: Mutex::new(screen), changed: Condvar::new() });
        let (output, answers) = (duplicate(), duplicate());
        let reader = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || follow(output, answers, &shared)
        });
        Self { keys: duplicate(), child, shared, reader: Some(reader) }
    }

    /// Types keys; `\r` is Enter, `\x03` Ctrl-C.
    pub(crate) fn types(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub(crate) fn sees(&mut self, wanted: impl Fn(&str) -> bool) -> &mut Self {
        let screen = self.shared.screen.lock().unwrap();
        let waiting = |screen: &mut Screen| !wanted(&screen.parser.screen().contents()) && !screen.ended;
        let (screen, _) = self.shared.changed.wait_timeout_while(screen, LONG, waiting).unwrap();
        let contents = screen.parser.screen().contents();
        drop(screen);
        assert!(wanted(&contents), "the screen shows:\n{contents}");
        self
    }

    /// Waits until the last line of the screen is this, blanks at its end aside.
    #[track_caller]
    pub(crate) fn stands_at(&mut self, last_line: &str) -> &mut Self {
        self.sees(|screen| screen.trim_end().lines().last().unwrap_or_default().trim_end() == last_line.trim_end())
    }

    /// Waits for the end, and gives the whole screen.
    pub(crate) fn ends_with(&mut self, code: i32) -> String {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let contents = self.shared.screen.lock().unwrap().parser.screen().contents();
        assert_eq!(status.code(), Some(code), "the screen shows:\n{contents}");
        contents
    }

    /// What the screen shows now.
    pub(crate) fn contents(&self) -> String {
        self.shared.screen.lock().unwrap().parser.screen().contents()
    }

    /// What the terminal got, colours included.
    pub(crate) fn coloured(&self) -> String {
        let screen = self.shared.screen.lock().unwrap();
        screen.parser.screen().contents_formatted()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Only where a test failed midway is it still there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows what the program writes, and answers its question where the cursor is, as a terminal does.
fn follow(mut output: std::fs::File, mut answers: std::fs::File, shared: &Shared) {
    let mut block = [0; 4096];
    // What may be the beginning of a question whose end comes with the next block.
    let mut begun = Vec::new();
    // A pty whose other end is closed gives an error instead of an end.
    while let Ok(read @ 1..) = output.read(&mut block) {
        let mut screen = shared.screen.lock().unwrap();
        screen.parser.process(&block[..read]);
        begun.extend_from_slice(&block[..read]);
        let asked = begun.windows(QUESTION.len()).filter(|bytes| *bytes == QUESTION).count();
        begun.drain(..begun.len().saturating_sub(QUESTION.len() - 1));
        let (row, column) = screen.parser.screen().cursor_position();
        drop(screen);
        shared.changed.notify_all();
        for _ in 0..asked {
            let _ = write!(answers, "\x1b[{};{}R", row + 1, column + 1);
        }
    }
    shared.screen.lock().unwrap().ended = true;
    shared.changed.notify_all();
}
