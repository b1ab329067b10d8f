//! Sessions: our terminal or pipes on one side, a container on the other.

use crate::failure::Failure;
use engine::Engine;
use engine::container::{ContainerRecord, signal};
use monitor::attach::{Client, DetachKeys, SessionEnd, SessionOptions, run_session};

/// What a session passes.
pub(crate) struct Wish<'a> {
    /// Our standard input.
    pub(crate) stdin: bool,
    /// The container's output.
    pub(crate) stdout: bool,
    /// The container's errors.
    pub(crate) stderr: bool,
    /// Keys that leave the session.
    pub(crate) detach_keys: Option<&'a str>,
    /// Signals we get are passed on.
    pub(crate) sig_proxy: bool,
}

/// How a session ended, as an exit code; `None` when the user detached.
pub(crate) fn attach(engine: &Engine, record: &ContainerRecord, client: Client, wish: &Wish<'_>) -> Result<Option<i32>, Failure> {
    let keys = match wish.detach_keys {
        Some(text) => text.parse::<DetachKeys>().map_err(|e| Failure::usage(e.to_string()))?,
        None => DetachKeys::default(),
    };
    let mut pass_on = |number: i32| {
        // The container may be gone already; then there is nobody to tell.
        let _ = signal::kill(engine, &record.id, number);
    };
    let options = SessionOptions {
        stdin: wish.stdin,
        stdout: wish.stdout,
        stderr: wish.stderr,
        terminal: record.spec.process.terminal,
        detach_keys: keys,
        on_signal: if wish.sig_proxy { Some(&mut pass_on) } else { None },
    };
    match run_session(client, options).map_err(|e| Failure::usage(e.to_string()))? {
        SessionEnd::Exited(code) => Ok(Some(if code < 0 { 125 } else { code })),
        SessionEnd::Detached => Ok(None),
        SessionEnd::OutputClosed(_) => Ok(Some(0)),
        SessionEnd::Interrupted(number) => {
            let _ = sys::signal::raise(number);
            Ok(Some(128 + number))
        }
        SessionEnd::Lost => Err(Failure::usage(format!("the monitor of container {:?} ended without a word", record.name.as_str()))),
    }
}
