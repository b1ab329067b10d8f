//! `exec`

use super::Command;
use crate::app::App;
use crate::args::{Kind, Parsed, flag};
use crate::failure::Failure;
use crate::flags;
use engine::container::exec::{self, ExecOptions};
use monitor::attach::DetachKeys;
use monitor::terminal::{self, PumpEnd, PumpOptions};

pub(crate) const EXEC: Command = Command {
    paths: &["exec", "container exec"],
    about: "Run a command in a running container",
    description: "Runs one more command in a container that runs.",
    usage: "[options] CONTAINER COMMAND [ARG...]",
    examples: &["exec -it web sh", "exec --user postgres db psql"],
    flags: &[&[
        flag("detach", 'd', Kind::Switch, "", "Leave it running, without its output"),
        flag("detach-keys", ' ', Kind::Value, "KEYS", "Keys that leave it running (default ctrl-p,ctrl-q)"),
        flag("env", 'e', Kind::List, "KEY[=VALUE]", "Set a variable; without a value, the host's"),
        flag("env-file", ' ', Kind::List, "FILE", "Read variables from a file of lines"),
        flag("interactive", 'i', Kind::Switch, "", "Pass our input"),
        flag("latest", 'l', Kind::Switch, "", "The container made last"),
        flag("no-session", ' ', Kind::Switch, "", "Accepted as in Podman; here no session is ever kept"),
        flag("preserve-fds", ' ', Kind::Value, "N", "Pass so many descriptors from 3 on"),
        flag("privileged", ' ', Kind::Switch, "", "Give it all that we have ourselves"),
        flag("tty", 't', Kind::Switch, "", "Give it a terminal"),
        flag("user", 'u', Kind::Value, "USER[:GROUP]", "User, by name or number"),
        flag("workdir", 'w', Kind::Value, "DIR", "Working directory"),
    ]],
    options_first: true,
    arguments: (1, None),
    run: main,
};

fn main(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let engine = app.engine()?;
    let mut words = parsed.positionals.clone();
    let record =
        if parsed.on("latest") { super::one(&engine, &parsed)? } else { engine::container::find::find(&engine, &words.remove(0))? };
    let preserve: u32 = parsed.number("preserve-fds")?.unwrap_or(0);
    let preserve_fds = (0..preserve as i32)
        .map(|n| sys::process::duplicate_inherited(n + 3).map_err(|e| Failure::usage(format!("passing descriptor {}: {e}", n + 3))))
        .collect::<Result<_, _>>()?;
    let options = ExecOptions {
        command: words,
        env: flags::env_entries(&parsed)?,
        user: parsed.value("user").map(str::to_owned),
        workdir: parsed.value("workdir").map(str::to_owned),
        terminal: parsed.on("tty"),
        interactive: parsed.on("interactive"),
        privileged: parsed.on("privileged"),
        detach: parsed.on("detach"),
        preserve_fds,
    };
    let detach = options.detach;
    let interactive = options.interactive;
    let started = exec::exec(&engine, &record, options)?;
    if detach {
        return Ok(0);
    }
    if let Some(master) = &started.terminal {
        let keys = match parsed.value("detach-keys") {
            Some(text) => text.parse::<DetachKeys>().map_err(|e| Failure::usage(e.to_string()))?,
            None => DetachKeys::default(),
        };
        let pump = PumpOptions { stdin: interactive, detach_keys: keys, on_signal: None };
        match terminal::pump(master, &started.pidfd, pump).map_err(|e| Failure::usage(e.to_string()))? {
            PumpEnd::Detached => return Ok(0),
            _ => {}
        }
    }
    Ok(wait(started.pid))
}

/// Waits for the program as its parent.
fn wait(pid: i32) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    match sys::clone::reap(pid) {
        Some(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        None => 125,
    }
}
