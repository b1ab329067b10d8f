//! `stop`, `restart`, `kill`, `rm`, `pause`, `unpause`, `wait`, `rename`, `exists`, `prune`

use super::{Command, SELECT, for_each, select};
use crate::app::App;
use crate::args::{Flag, Kind, Parsed, flag, refused};
use crate::failure::Failure;
use engine::container::remove::{self, RemoveOptions};
use engine::container::start::{self, StartOptions};
use engine::container::stop::{self, StopOptions};
use engine::container::wait::{self, Condition};
use engine::container::{Status, find, list, pause, rename, signal};
use spec::Name;
use spec::process::Signal;
use std::time::Duration;

const TIME: &[Flag] = &[flag("time", 't', Kind::Value, "SECONDS", "Seconds between the stop signal and KILL (default 10)")];

pub(crate) const STOP: Command = Command {
    paths: &["stop", "container stop"],
    about: "Stop containers",
    description: "Sends the stop signal, waits, and kills what is still there.",
    usage: "[options] CONTAINER [CONTAINER...]",
    examples: &["stop web", "stop --time 2 --all"],
    flags: &[SELECT, TIME],
    options_first: false,
    arguments: (0, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let options = StopOptions { timeout: timeout(&parsed)? };
        for_each(select(&engine, &parsed, true)?, parsed.on("ignore"), |record| stop::stop(&engine, record, options).map(drop))
    },
};

/// `-1` waits for ever.
fn timeout(parsed: &Parsed) -> Result<Option<u64>, Failure> {
    Ok(parsed.number::<i64>("time")?.map(|seconds| u64::try_from(seconds).unwrap_or(u64::MAX / 4)))
}

pub(crate) const RESTART: Command = Command {
    paths: &["restart", "container restart"],
    about: "Restart containers",
    description: "Stops containers that run, and starts them.",
    usage: "[options] CONTAINER [CONTAINER...]",
    examples: &["restart web"],
    flags: &[SELECT, TIME, &[flag("running", ' ', Kind::Switch, "", "Only those that run")]],
    options_first: false,
    arguments: (0, None),
    run: |app, mut parsed| {
        let engine = app.engine()?;
        let options = StopOptions { timeout: timeout(&parsed)? };
        let running = parsed.on("running");
        if running && parsed.positionals.is_empty() {
            let listed = list::list(&engine, &list::ListOptions::default())?;
            parsed.positionals = listed.into_iter().map(|l| l.record.id.to_string()).collect();
            if parsed.positionals.is_empty() {
                return Ok(0);
            }
        }
        for_each(select(&engine, &parsed, running)?, false, |record| {
            stop::stop(&engine, record, options)?;
            start::start(&engine, &record.id, StartOptions::default()).map(drop)
        })
    },
};

pub(crate) const KILL: Command = Command {
    paths: &["kill", "container kill"],
    about: "Send a signal to containers",
    description: "Sends a signal to the first process of running containers.",
    usage: "[options] CONTAINER [CONTAINER...]",
    examples: &["kill web", "kill --signal HUP web"],
    flags: &[SELECT, &[flag("signal", 's', Kind::Value, "SIGNAL", "Which signal (default KILL)")]],
    options_first: false,
    arguments: (0, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let number = parsed.parsed::<Signal>("signal")?.unwrap_or(Signal(9)).0;
        for_each(select(&engine, &parsed, true)?, false, |record| signal::kill(&engine, &record.id, number))
    },
};

pub(crate) const RM: Command = Command {
    paths: &["rm", "container rm"],
    about: "Remove containers",
    description: "Removes containers that do not run; with --force, those that run too.",
    usage: "[options] CONTAINER [CONTAINER...]",
    examples: &["rm web", "rm -f --all"],
    flags: &[
        SELECT,
        TIME,
        &[
            flag("force", 'f', Kind::Switch, "", "Stop it first if it runs; one that is not there is no error"),
            flag("volumes", 'v', Kind::Switch, "", "Remove its anonymous volumes too"),
            refused("depend", ' ', false),
            refused("storage", ' ', false),
        ],
    ],
    options_first: false,
    arguments: (0, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let options = RemoveOptions { force: parsed.on("force"), volumes: parsed.on("volumes"), timeout: timeout(&parsed)? };
        let ignore = parsed.on("ignore") || parsed.on("force");
        for_each(select(&engine, &parsed, false)?, ignore, |record| remove::remove(&engine, record, options))
    },
};

pub(crate) const PAUSE: Command = Command {
    paths: &["pause", "container pause"],
    about: "Freeze containers",
    description: "Freezes all processes of running containers.",
    usage: "[options] CONTAINER [CONTAINER...]",
    examples: &["pause web"],
    flags: &[SELECT],
    options_first: false,
    arguments: (0, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        for_each(select(&engine, &parsed, true)?, false, |record| pause::pause(&engine, record))
    },
};

pub(crate) const UNPAUSE: Command = Command {
    paths: &["unpause", "container unpause"],
    about: "Thaw containers",
    description: "Thaws all processes of frozen containers.",
    usage: "[options] CONTAINER [CONTAINER...]",
    examples: &["unpause web"],
    flags: &[SELECT],
    options_first: false,
    arguments: (0, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let mut chosen = select(&engine, &parsed, true)?;
        if parsed.on("all") {
            chosen.retain(|(_, found)| {
                found.as_ref().is_ok_and(|record| {
                    engine::container::status::look(&engine, &record.id).is_ok_and(|look| look.status == Status::Paused)
                })
            });
        }
        for_each(chosen, false, |record| pause::unpause(&engine, record))
    },
};

pub(crate) const WAIT: Command = Command {
    paths: &["wait", "container wait"],
    about: "Wait for containers to end",
    description: "Waits until containers have ended, or are in a state, and prints their exit codes.",
    usage: "[options] CONTAINER [CONTAINER...]",
    examples: &["wait web", "wait --condition running web"],
    flags: &[&[
        flag("condition", ' ', Kind::Words, "STATE", "Wait for this state: stopped, running, created, exited, paused, removing"),
        flag("interval", 'i', Kind::Value, "TIME", "Look so often, where nothing tells (default 250ms)"),
        flag("latest", 'l', Kind::Switch, "", "The container made last"),
        flag("ignore", ' ', Kind::Switch, "", "A container that is not there is no error"),
        refused("exit-first-match", ' ', false),
    ]],
    options_first: false,
    arguments: (0, None),
    run: wait_command,
};

fn wait_command(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let engine = app.engine()?;
    let interval = match parsed.value("interval") {
        // A bare number is milliseconds here, as in Podman.
        Some(text) if text.parse::<u64>().is_ok() => Duration::from_millis(text.parse().unwrap_or(250)),
        Some(text) => Duration::from_nanos(spec::quantity::parse_duration("interval", text)?),
        None => Duration::from_millis(250),
    };
    let mut states = Vec::new();
    for word in parsed.all("condition") {
        states.push(match word.as_str() {
            "stopped" | "exited" => Status::Exited,
            "running" => Status::Running,
            "created" | "configured" => Status::Created,
            "paused" => Status::Paused,
            "stopping" => Status::Stopping,
            "removing" => Status::Removing,
            "healthy" | "unhealthy" => return Err(Failure::usage(format!("--condition {word} is not supported by coracle yet"))),
            other => {
                return Err(Failure::usage(format!(
                    "invalid condition {other:?}: it is stopped, running, created, exited, paused, stopping or removing"
                )));
            }
        });
    }
    let condition = if states.is_empty() || states == [Status::Exited] { Condition::Stopped } else { Condition::States(states) };
    let records = if parsed.on("latest") {
        vec![find::latest(&engine)?]
    } else {
        if parsed.positionals.is_empty() {
            return Err(Failure::usage("you must provide at least one name or id"));
        }
        let mut records = Vec::new();
        for typed in &parsed.positionals {
            match find::find(&engine, typed) {
                Ok(record) => records.push(record),
                Err(error) if parsed.on("ignore") && error.kind() == engine::ErrorKind::NotFound => println!("-1"),
                Err(error) => return Err(error.into()),
            }
        }
        records
    };
    for record in records {
        println!("{}", wait::wait(&engine, &record, &condition, interval)?);
    }
    Ok(0)
}

pub(crate) const RENAME: Command = Command {
    paths: &["rename", "container rename"],
    about: "Rename a container",
    description: "Gives a container another name.",
    usage: "CONTAINER NAME",
    examples: &["rename web old-web"],
    flags: &[],
    options_first: false,
    arguments: (2, Some(2)),
    run: |app, parsed| {
        let engine = app.engine()?;
        let id = find::find_id(&engine, &parsed.positionals[0])?;
        rename::rename(&engine, &id, &Name::parse(&parsed.positionals[1])?)?;
        Ok(0)
    },
};

pub(crate) const EXISTS: Command = Command {
    paths: &["container exists"],
    about: "Tell whether a container exists",
    description: "Ends with 0 if a container is there, and with 1 if not.",
    usage: "CONTAINER",
    examples: &["container exists web"],
    flags: &[&[refused("external", ' ', false)]],
    options_first: false,
    arguments: (1, Some(1)),
    run: |app, parsed| match find::find_id(&app.engine()?, &parsed.positionals[0]) {
        Ok(_) => Ok(0),
        Err(error) if error.kind() == engine::ErrorKind::NotFound => Err(Failure::Code(1)),
        Err(error) => Err(error.into()),
    },
};

pub(crate) const PRUNE: Command = Command {
    paths: &["container prune"],
    about: "Remove all containers that do not run",
    description: "Removes all containers that do not run.",
    usage: "[options]",
    examples: &["container prune --force"],
    flags: &[&[
        flag("force", 'f', Kind::Switch, "", "Do not ask"),
        flag("filter", ' ', Kind::List, "KEY=VALUE", "Only containers that fit: label=, until="),
    ]],
    options_first: false,
    arguments: (0, Some(0)),
    run: |app, parsed| {
        if !parsed.on("force") && !crate::page::confirm("This will remove all non running containers.")? {
            return Ok(0);
        }
        let engine = app.engine()?;
        let filters = super::ps::filters_with_times(parsed.all("filter"))?;
        let listed = list::list(&engine, &list::ListOptions { all: true, filters, last: None })?;
        let idle = listed.into_iter().filter(|l| l.look.run.is_none()).map(|l| (l.record.id.to_string(), Ok(l.record))).collect();
        for_each(idle, true, |record| remove::remove(&engine, record, RemoveOptions { force: false, volumes: false, timeout: None }))
    },
};

pub(crate) const DIFF: Command = Command {
    paths: &["diff", "container diff"],
    about: "Show what a container changed",
    description: "Lists paths a container added (A), changed (C) or deleted (D), against its image.",
    usage: "[options] CONTAINER",
    examples: &["diff web", "diff --format json web"],
    flags: &[&[flag("format", ' ', Kind::Value, "FORMAT", "json"), flag("latest", 'l', Kind::Switch, "", "The container made last")]],
    options_first: false,
    arguments: (0, Some(1)),
    run: |app, parsed| {
        let engine = app.engine()?;
        let changes = engine::container::diff::diff(&engine, &super::one(&engine, &parsed)?)?;
        match parsed.value("format") {
            None => changes.iter().for_each(|(kind, path)| println!("{kind} {}", output::printable(path))),
            Some("json") => {
                let of =
                    |wanted: char| changes.iter().filter(|(kind, _)| *kind == wanted).map(|(_, path)| path.clone()).collect::<Vec<_>>();
                print!("{}", output::template::to_json(&serde_json::json!({"added": of('A'), "changed": of('C'), "deleted": of('D')})));
            }
            Some(other) => return Err(Failure::usage(format!("only supported value for '--format' is 'json', not {other:?}"))),
        }
        Ok(0)
    },
};
