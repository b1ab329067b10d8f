//! From arguments to a command: flags of the program itself, the command's path, its own arguments.

use crate::args::{self, Flag, Kind, flag, refused};
use crate::commands::{self, Command};
use crate::failure::Failure;
use crate::{help, hints};
use engine::{Engine, EngineOptions};

/// What every command is given.
pub(crate) struct App {
    options: EngineOptions,
    /// The whole command line, for `inspect`.
    pub(crate) line: Vec<String>,
}

impl App {
    /// Opens the engine.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        Ok(Engine::open(self.options.clone())?)
    }
}

/// Flags that stand before the command.
pub(crate) const ROOT_FLAGS: &[Flag] = &[
    flag("root", ' ', Kind::Value, "DIR", "Keep images and containers in this directory"),
    flag("runroot", ' ', Kind::Value, "DIR", "Keep the state of running containers in this directory"),
    flag("log-level", ' ', Kind::Value, "LEVEL", "Say more or less: error or warn"),
    flag("cgroup-manager", ' ', Kind::Value, "NAME", "Manage cgroups by this: only cgroupfs"),
    refused("runtime", ' ', true),
    flag("version", 'v', Kind::Switch, "", "Print the version"),
    refused("remote", 'r', false),
    refused("url", ' ', true),
    refused("connection", 'c', true),
    refused("host", 'H', true),
    refused("identity", ' ', true),
    refused("storage-driver", ' ', true),
    refused("storage-opt", ' ', true),
    refused("module", ' ', true),
    refused("hooks-dir", ' ', true),
    refused("imagestore", ' ', true),
    refused("transient-store", ' ', false),
    refused("volumepath", ' ', true),
    refused("ssh", ' ', true),
    refused("events-backend", ' ', true),
    refused("network-config-dir", ' ', true),
    refused("conmon", ' ', true),
    refused("tmpdir", ' ', true),
    refused("out", ' ', true),
    refused("noout", ' ', false),
    refused("syslog", ' ', false),
    refused("trace", ' ', false),
    refused("config", ' ', true),
    refused("registries-conf", ' ', true),
    refused("default-mounts-file", ' ', true),
    refused("runtime-flag", ' ', true),
    refused("cdi-spec-dir", ' ', true),
];

/// Runs a command line; returns the exit code.
pub(crate) fn main(args: &[String]) -> i32 {
    match run(args) {
        Ok(code) => code,
        Err(failure) => report(&failure),
    }
}

/// Prints an error and what may cure it.
fn report(failure: &Failure) -> i32 {
    // Breaks between lines are ours; what stands in them may be foreign.
    let text = failure
        .text()
        .split('\n')
        .map(|line| line.split('\t').map(output::printable).collect::<Vec<_>>().join("\t"))
        .collect::<Vec<_>>()
        .join("\n");
    if !text.is_empty() {
        eprintln!("Error: {text}");
    }
    if let Some(hint) = failure.cure().and_then(hints::hint) {
        eprintln!("hint: {hint}");
    }
    failure.exit_code()
}

fn run(args: &[String]) -> Result<i32, Failure> {
    let root = args::parse(&[ROOT_FLAGS], args, true)?;
    if root.on("version") {
        println!("coracle version {}", env!("CARGO_PKG_VERSION"));
        return Ok(0);
    }
    if let Some(manager) = root.value("cgroup-manager").filter(|manager| *manager != "cgroupfs") {
        return Err(Failure::usage(format!("--cgroup-manager {manager} is not supported by coracle yet: it is cgroupfs")));
    }
    if let Some(level) = root.value("log-level").filter(|level| !["panic", "fatal", "error", "warn", "warning"].contains(level)) {
        return Err(Failure::usage(format!("--log-level {level} is not supported by coracle yet: it is error or warn")));
    }
    let words = &root.positionals;
    let app = App {
        options: EngineOptions { root: root.value("root").map(Into::into), runroot: root.value("runroot").map(Into::into) },
        line: std::iter::once("coracle".to_owned()).chain(args.iter().cloned()).collect(),
    };
    if words.is_empty() || root.help {
        help::root();
        return Ok(if root.help || words.is_empty() && args.is_empty() { 0 } else { 125 });
    }
    if words[0] == "help" {
        return run(&words[1..].iter().cloned().chain(["--help".to_owned()]).collect::<Vec<_>>());
    }
    // The longest path that is a command wins: `container run` before `container`.
    let mut found: Option<(&'static Command, &'static str, usize)> = None;
    for length in (1..=words.len().min(3)).rev() {
        let path = words[..length].join(" ");
        if let Some((command, path)) = commands::find(&path) {
            found = Some((command, path, length));
            break;
        }
    }
    let Some((command, path, length)) = found else { return unknown(words) };
    let parsed = args::parse(command.flags, &words[length..], command.options_first)?;
    if parsed.help {
        help::command(command, path);
        return Ok(0);
    }
    let count = parsed.positionals.len();
    if count < command.arguments.0 || command.arguments.1.is_some_and(|most| count > most) {
        let wanted = match command.arguments {
            (least, Some(most)) if least == most => format!("accepts {least} arg(s), received {count}"),
            (least, Some(most)) => format!("accepts between {least} and {most} arg(s), received {count}"),
            (least, None) => format!("requires at least {least} arg(s), only received {count}"),
        };
        return Err(Failure::usage(wanted));
    }
    (command.run)(&app, parsed)
}

fn unknown(words: &[String]) -> Result<i32, Failure> {
    let first = &words[0];
    if commands::is_group(first) {
        if words.len() == 1 || words[1] == "--help" || words[1] == "-h" {
            help::group(first);
            return Ok(if words.len() == 1 { 125 } else { 0 });
        }
        let near = args::nearest(&words[1], commands::members(first));
        let hint = near.map(|near| format!("\n\nDid you mean this?\n\t{near}\n")).unwrap_or_default();
        return Err(Failure::usage(format!("unrecognized command `coracle {} {}`{hint}", first, words[1])));
    }
    let near = args::nearest(first, commands::top_level());
    let hint = near.map(|near| format!("\n\nDid you mean this?\n\t{near}\n")).unwrap_or_default();
    Err(Failure::usage(format!("unrecognized command `coracle {first}`{hint}")))
}
