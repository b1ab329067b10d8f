//! `ps`: all containers with what they are doing, and the filters.

use super::record::{ContainerRecord, Status};
use super::{find, status};
use crate::error::{Error, ErrorKind, Result};
use crate::open::Engine;

/// A container and what it is doing.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The record.
    pub record: ContainerRecord,
    /// The look.
    pub look: status::Look,
}

/// A filter, parsed.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

/// Which containers are listed.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Also those that do not run.
    pub all: bool,
    /// Filters: different keys must all hold, of equal keys one.
    pub filters: Vec<Filter>,
    /// Only the newest so many, whatever their state.
    pub last: Option<usize>,
}

/// Lists containers, the oldest first.
pub fn list(engine: &Engine, options: &ListOptions) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for record in find::all(engine)? {
        match status::look(engine, &record.id) {
            Ok(look) => listed.push(Listed { record, look }),
            // Removed while we were looking.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let status_asked = options.filters.iter().any(|filter| filter.key == "status");
    if !options.all && !status_asked && options.last.is_none() {
        listed.retain(|l| matches!(l.look.status, Status::Running | Status::Paused | Status::Stopping));
    }
    apply(engine, &mut listed, &options.filters)?;
    if let Some(last) = options.last {
        let excess = listed.len().saturating_sub(last);
        listed.drain(..excess);
    }
    Ok(listed)
}

/// Keeps what the filters let through.
pub fn apply(engine: &Engine, listed: &mut Vec<Listed>, filters: &[Filter]) -> Result<()> {
    let mut keys: Vec<&str> = filters.iter().map(|filter| filter.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let values: Vec<&str> = filters.iter().filter(|filter| filter.key == key).map(|filter| filter.value.as_str()).collect();
        let tests = values.iter().map(|value| test(engine, key, value)).collect::<Result<Vec<_>>>()?;
        // Labels must all hold; of other keys one is enough (Podman's rule).
        if key.starts_with("label") {
            listed.retain(|l| tests.iter().all(|test| test(l)));
        } else {
            listed.retain(|l| tests.iter().any(|test| test(l)));
        }
    }
    Ok(())
}

type Test = Box<dyn Fn(&Listed) -> bool>;

fn test(engine: &Engine, key: &str, value: &str) -> Result<Test> {
    let wish = value.to_owned();
    let invalid = |why: String| Error::new(ErrorKind::InvalidInput, format!("invalid filter \"{key}={value}\": {why}"));
    Ok(match key {
        "id" => {
            let wish = wish.trim_start_matches('^').to_owned();
            Box::new(move |l| l.record.id.as_str().starts_with(&wish))
        }
        "name" => Box::new(move |l| name_matches(l.record.name.as_str(), &wish)),
        "label" => Box::new(move |l| label_matches(l, &wish)),
        "label!" => Box::new(move |l| !label_matches(l, &wish)),
        "status" => {
            const STATES: [&str; 8] = ["created", "initialized", "running", "stopped", "paused", "exited", "removing", "stopping"];
            if !STATES.contains(&value) && value != "unknown" {
                return Err(invalid(format!("{value} is not a valid status: it is one of {}", STATES.join(", "))));
            }
            Box::new(move |l| l.look.status.as_str() == wish || (wish == "stopped" && l.look.status == Status::Exited))
        }
        "exited" => {
            let code: i32 = value.parse().map_err(|_| invalid("it is an exit code".to_owned()))?;
            Box::new(move |l| l.look.run.is_none() && l.look.exit.as_ref().is_some_and(|exit| exit.code == code))
        }
        "ancestor" => Box::new(move |l| {
            l.record.image.as_ref().is_some_and(|image| {
                image.name == wish
                    || image.id.hex().starts_with(wish.trim_start_matches("sha256:"))
                    || image.name.rsplit('/').next() == Some(&wish)
                    || image.name.rsplit('/').next().and_then(|name| name.split(':').next()) == Some(&wish)
            })
        }),
        "before" | "since" => {
            let other = find::find(engine, value)?.created;
            if key == "before" { Box::new(move |l| l.record.created < other) } else { Box::new(move |l| l.record.created > other) }
        }
        "volume" => {
            let (source, target) = match value.split_once(':') {
                Some((source, target)) => (source.to_owned(), Some(target.to_owned())),
                None => (wish, None),
            };
            Box::new(move |l| uses_volume(&l.record, &source, target.as_deref()))
        }
        "network" => Box::new(move |l| super::inspect::network_mode(&l.record) == wish),
        "pod" => Box::new(move |l| l.record.pod.as_deref() == Some(&wish)),
        "command" => Box::new(move |l| super::inspect::command(&l.record).first().is_some_and(|word| word.starts_with(&wish))),
        "restart-policy" => Box::new(move |l| super::inspect::restart_policy(&l.record) == wish),
        "health" => Box::new(move |_| wish == "none"),
        "until" => {
            let until: u128 = value.parse().map_err(|_| invalid("it is a time in nanoseconds".to_owned()))?;
            Box::new(move |l| l.record.created <= until)
        }
        other => return Err(Error::new(ErrorKind::InvalidInput, format!("{other} is an invalid filter"))),
    })
}

/// Podman takes a regular expression; what people type are substrings and anchors.
fn name_matches(name: &str, wish: &str) -> bool {
    match (wish.strip_prefix('^'), wish.strip_suffix('$')) {
        (Some(_), Some(_)) => name == wish.trim_start_matches('^').trim_end_matches('$'),
        (Some(start), None) => name.starts_with(start),
        (None, Some(end)) => name.ends_with(end),
        (None, None) => name.contains(wish),
    }
}

fn label_matches(listed: &Listed, wish: &str) -> bool {
    let labels = super::inspect::labels(&listed.record);
    match wish.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
        None => labels.contains_key(wish),
    }
}

fn uses_volume(record: &ContainerRecord, source: &str, target: Option<&str>) -> bool {
    let fits = |at: &str| target.is_none_or(|target| crate::plan::mounts::same_place(at, target));
    record.volumes.iter().any(|v| (v.name.as_str() == source || v.target == source) && fits(&v.target))
        || record.spec.mounts.iter().any(|m| match &m.source {
            spec::mount::MountSource::Bind { path, .. } => (path == source || m.target == source) && fits(&m.target),
            _ => false,
        })
}
