//! A line that shows life while something takes its time: after a moment, and only where somebody looks.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// 250 ms: short work stays quiet, long work shows life before one wonders.
const QUIET: Duration = Duration::from_millis(250);
const TURN: Duration = Duration::from_millis(100);

/// Dropping it takes the line off the screen.
#[derive(Debug)]
pub(crate) struct Spinner {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Spinner {
    /// Says `text` once it has taken long enough.
    pub(super) fn start(wanted: bool, text: &str) -> Self {
        if !wanted {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = channel::<()>();
        let text = text.to_owned();
        let turn = move || {
            // A sender that is dropped ends both waits.
            if stopped.recv_timeout(QUIET) != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("the template is constant and reads"));
            bar.set_message(text);
            while stopped.recv_timeout(TURN) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                bar.tick();
            }
            bar.finish_and_clear();
        };
        // Without a thread there is no line, and nothing else is lost.
        let thread = std::thread::Builder::new().name("spinner".to_owned()).spawn(turn).ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
