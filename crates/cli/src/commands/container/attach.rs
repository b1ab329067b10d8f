//! `attach` and `start`

use super::Command;
use crate::app::App;
use crate::args::{Flag, Kind, Parsed, flag};
use crate::failure::Failure;
use crate::session;
use engine::container::start::{self, StartOptions};
use engine::container::status;
use engine::{Cure, Error, ErrorKind};
use monitor::attach::Client;

pub(crate) const ATTACH: Command = Command {
    paths: &["attach", "container attach"],
    about: "Attach to a running container",
    description: "Connects standard input, output and error to those of a running container.",
    usage: "[options] CONTAINER",
    examples: &["attach web"],
    flags: &[&[
        flag("detach-keys", ' ', Kind::Value, "KEYS", "Keys that leave it running (default ctrl-p,ctrl-q)"),
        flag("latest", 'l', Kind::Switch, "", "The container made last"),
        flag("no-stdin", ' ', Kind::Switch, "", "Pass no input"),
        flag("sig-proxy", ' ', Kind::Switch, "", "Pass signals on to it (default true)"),
    ]],
    options_first: false,
    arguments: (0, Some(1)),
    run: attach,
};

const START_FLAGS: &[Flag] = &[
    flag("all", ' ', Kind::Switch, "", "All containers that do not run"),
    flag("attach", 'a', Kind::Switch, "", "Attach to its output"),
    flag("interactive", 'i', Kind::Switch, "", "Pass our input too"),
    flag("detach-keys", ' ', Kind::Value, "KEYS", "Keys that leave it running (default ctrl-p,ctrl-q)"),
    flag("sig-proxy", ' ', Kind::Switch, "", "Pass signals on to it (default true with --attach)"),
    flag("latest", 'l', Kind::Switch, "", "The container made last"),
    flag("filter", 'f', Kind::List, "KEY=VALUE", "Containers that fit"),
];

pub(crate) const START: Command = Command {
    paths: &["start", "container start"],
    about: "Start containers",
    description: "Starts containers that were made or have ended.",
    usage: "[options] CONTAINER [CONTAINER...]",
    examples: &["start web", "start --attach web"],
    flags: &[START_FLAGS],
    options_first: false,
    arguments: (0, None),
    run: start_command,
};

fn attach(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let engine = app.engine()?;
    let record = super::one(&engine, &parsed)?;
    if status::look(&engine, &record.id)?.run.is_none() {
        return Err(Error::new(ErrorKind::WrongState, "you can only attach to running containers")
            .with_cure(Cure::StartFirst { container: record.name.to_string() })
            .into());
    }
    let socket = engine.paths.container_run(&record.id).join("attach.sock");
    let client = Client::connect(&socket).map_err(|e| Failure::usage(e.to_string()))?;
    let wish = session::Wish {
        stdin: record.spec.process.interactive && !parsed.on("no-stdin"),
        stdout: true,
        stderr: true,
        detach_keys: parsed.value("detach-keys"),
        sig_proxy: parsed.given("sig-proxy") != Some(false),
    };
    Ok(session::attach(&engine, &record, client, &wish)?.unwrap_or(0))
}

fn start_command(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let engine = app.engine()?;
    let attach = parsed.on("attach") || parsed.on("interactive");
    if !attach {
        let chosen = super::select(&engine, &parsed, false)?;
        return super::for_each(chosen, false, |record| start::start(&engine, &record.id, StartOptions::default()).map(drop));
    }
    if parsed.positionals.len() > 1 {
        return Err(Failure::usage("you cannot start and attach multiple containers at once"));
    }
    let record = super::one(&engine, &parsed)?;
    let started = start::start(&engine, &record.id, StartOptions { attach: true, preserve_fds: Vec::new() })?;
    let client = match started.session.filter(|_| !started.was_running) {
        Some(fd) => Client::from_fd(fd),
        None => Client::connect(&engine.paths.container_run(&record.id).join("attach.sock")).map_err(|e| Failure::usage(e.to_string()))?,
    };
    let wish = session::Wish {
        stdin: parsed.on("interactive") && record.spec.process.interactive,
        stdout: true,
        stderr: true,
        detach_keys: parsed.value("detach-keys"),
        sig_proxy: parsed.given("sig-proxy") != Some(false),
    };
    Ok(session::attach(&engine, &record, client, &wish)?.unwrap_or(0))
}
