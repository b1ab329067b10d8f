//! Progress of longer work, on standard error: a line that is renewed on a terminal, plain lines elsewhere.

use std::io::Write;
use std::sync::Mutex;
use std::time::Instant;

/// Shows how many bytes have come.
pub(crate) struct Progress {
    state: Mutex<State>,
    is_terminal: bool,
    quiet: bool,
}

struct State {
    last: Instant,
    shown: bool,
}

impl Progress {
    /// Begins to show progress.
    pub(crate) fn new(quiet: bool) -> Self {
        let is_terminal = rustix::termios::isatty(rustix::stdio::stderr());
        Self { state: Mutex::new(State { last: Instant::now(), shown: false }), is_terminal, quiet }
    }

    /// Says something that stays.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.clear();
            eprintln!("{}", output::printable(text));
        }
    }

    /// Shows a number of bytes, at most ten times a second.
    pub(crate) fn bytes(&self, done: u64, total: u64) {
        let Ok(mut state) = self.state.lock() else { return };
        if self.quiet || !self.is_terminal || state.last.elapsed().as_millis() < 100 {
            return;
        }
        state.last = Instant::now();
        state.shown = true;
        let percent = if total > 0 { done.min(total) * 100 / total } else { 0 };
        let filled = (percent / 4) as usize;
        eprint!(
            "\r\x1b[K[{}{}] {percent:3} %  {} / {}",
            "=".repeat(filled),
            " ".repeat(25 - filled),
            output::human::size(done),
            output::human::size(total)
        );
        let _ = std::io::stderr().flush();
    }

    fn clear(&self) {
        if let Ok(mut state) = self.state.lock()
            && std::mem::take(&mut state.shown)
        {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
