//! Commands on containers.

mod attach;
mod create;
mod exec;
mod inspect;
mod lifecycle;
mod logs;
mod ps;
mod run;
mod top;

pub(crate) use inspect::print_documents;

use super::Command;
use crate::args::{Flag, Kind, Parsed, flag, refused};
use crate::failure::Failure;
use engine::container::{ContainerRecord, Status, find};
use engine::{Engine, container::list};

pub(crate) const COMMANDS: &[&Command] = &[
    &run::RUN,
    &create::CREATE,
    &attach::ATTACH,
    &attach::START,
    &exec::EXEC,
    &inspect::INSPECT,
    &inspect::PORT,
    &logs::LOGS,
    &ps::PS,
    &top::TOP,
    &lifecycle::STOP,
    &lifecycle::RESTART,
    &lifecycle::KILL,
    &lifecycle::RM,
    &lifecycle::PAUSE,
    &lifecycle::UNPAUSE,
    &lifecycle::WAIT,
    &lifecycle::RENAME,
    &lifecycle::EXISTS,
    &lifecycle::PRUNE,
    &lifecycle::DIFF,
];

/// Flags that choose several containers.
pub(crate) const SELECT: &[Flag] = &[
    flag("all", 'a', Kind::Switch, "", "All containers"),
    flag("latest", 'l', Kind::Switch, "", "The container made last"),
    flag("filter", ' ', Kind::List, "KEY=VALUE", "Containers that fit"),
    flag("cidfile", ' ', Kind::List, "FILE", "Read the id from a file"),
    flag("ignore", 'i', Kind::Switch, "", "A container that is not there is no error"),
    refused("service", ' ', false),
];

/// Reads filters.
pub(crate) fn filters(values: &[String]) -> Result<Vec<list::Filter>, Failure> {
    values
        .iter()
        .map(|text| {
            let (key, value) =
                text.split_once('=').ok_or_else(|| Failure::usage(format!("invalid filter {text:?}: it is written KEY=VALUE")))?;
            // `label!=a` means labels other than that.
            Ok(list::Filter { key: key.to_owned(), value: value.to_owned() })
        })
        .collect()
}

/// Finds one container by an argument or `--latest`.
pub(crate) fn one(engine: &Engine, parsed: &Parsed) -> Result<ContainerRecord, Failure> {
    if parsed.on("latest") {
        return Ok(find::latest(engine)?);
    }
    let typed = parsed.positionals.first().ok_or_else(|| Failure::usage("you must provide the name or id of a container"))?;
    Ok(find::find(engine, typed)?)
}

/// A container that was chosen, or why it could not be found.
pub(crate) type Chosen = (String, engine::Result<ContainerRecord>);

/// Finds the containers that arguments and flags choose.
pub(crate) fn select(engine: &Engine, parsed: &Parsed, running_only: bool) -> Result<Vec<Chosen>, Failure> {
    let mut names = parsed.positionals.clone();
    for file in parsed.all("cidfile") {
        match std::fs::read_to_string(file) {
            Ok(text) => names.push(text.trim().to_owned()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && parsed.on("ignore") => {}
            Err(e) => return Err(Failure::usage(format!("reading CIDFile {file:?}: {e}"))),
        }
    }
    let chosen_by_flag = parsed.on("all") || parsed.on("latest") || !parsed.all("filter").is_empty();
    if chosen_by_flag && !names.is_empty() {
        return Err(Failure::usage("--all, --latest and --filter cannot be combined with names"));
    }
    if parsed.on("latest") {
        let record = find::latest(engine)?;
        return Ok(vec![(record.id.to_string(), Ok(record))]);
    }
    if chosen_by_flag {
        let options = list::ListOptions { all: true, filters: filters(parsed.all("filter"))?, last: None };
        let listed = list::list(engine, &options)?;
        let fits = |status: Status| !running_only || matches!(status, Status::Running | Status::Paused | Status::Stopping);
        return Ok(listed.into_iter().filter(|l| fits(l.look.status)).map(|l| (l.record.id.to_string(), Ok(l.record))).collect());
    }
    if names.is_empty() && parsed.all("cidfile").is_empty() {
        return Err(Failure::usage("you must provide at least one name or id"));
    }
    Ok(names.into_iter().map(|name| (name.clone(), find::find(engine, &name))).collect())
}

/// Does something to each chosen container: prints what was typed when it is done, goes on after errors, and
/// reports them all.
pub(crate) fn for_each(
    chosen: Vec<Chosen>,
    ignore_missing: bool,
    mut work: impl FnMut(&ContainerRecord) -> engine::Result<()>,
) -> Result<i32, Failure> {
    let mut last: Option<engine::Error> = None;
    let mut missing = false;
    for (typed, found) in chosen {
        let result = found.and_then(|record| work(&record));
        match result {
            Ok(()) => println!("{typed}"),
            Err(error) if error.kind() == engine::ErrorKind::NotFound && ignore_missing => {}
            Err(error) => {
                missing |= error.kind() == engine::ErrorKind::NotFound;
                if let Some(earlier) = last.replace(error) {
                    eprintln!("Error: {}", output::printable(&earlier.chain()));
                }
            }
        }
    }
    match last {
        // Podman's code for "no such container" is 1 here, for the rest 125.
        Some(error) if missing && error.kind() == engine::ErrorKind::NotFound => {
            eprintln!("Error: {}", output::printable(&error.chain()));
            Err(Failure::Code(1))
        }
        Some(error) => Err(error.into()),
        None => Ok(0),
    }
}
