//! The command line of coracle: arguments in, engine verbs, text out.
//!
//! Start reading at [`commands::TABLE`]: each command is one file with its flags and its `run`.

#![forbid(unsafe_code)]
// The documents of `inspect` are one long macro call each.
#![recursion_limit = "512"]

mod app;
mod args;
mod commands;
mod failure;
mod flags;
mod help;
mod hints;
mod in_container;
mod page;
mod progress;
mod session;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let program = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    // The same program, inside a container of ours.
    if let Some(code) = in_container::main(&program, &args) {
        return ExitCode::from(code);
    }
    // A reader that left early ends us quietly, as it ends every filter.
    let _ = sys::signal::set_default(rustix::process::Signal::PIPE.as_raw());
    let code = app::main(&args);
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(125))
}
