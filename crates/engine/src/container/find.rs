//! Finding containers: by id, unique prefix of an id, or name; and listing them all.

use super::record::{ContainerRecord, RECORD_VERSION};
use crate::error::{Error, ErrorKind, Result};
use crate::json;
use crate::open::Engine;
use spec::{ContainerId, Name};

/// Reads the record of one container.
pub fn load(engine: &Engine, id: &ContainerId) -> Result<ContainerRecord> {
    let record: ContainerRecord = json::load(&engine.paths.container(id).join("config.json"))?.ok_or_else(|| no_such(id.as_str()))?;
    if record.version > RECORD_VERSION {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("reading container {:?}: it was written by a newer release (format {})", id.short(), record.version),
        ));
    }
    Ok(record)
}

/// Finds the id behind what a user typed.
pub fn find_id(engine: &Engine, typed: &str) -> Result<ContainerId> {
    if let Ok(name) = Name::parse(typed)
        && let Some(id) = id_of_name(engine, &name)?
    {
        return Ok(id);
    }
    if typed.is_empty() || typed.len() > 64 || !typed.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(no_such(typed));
    }
    if let Ok(id) = ContainerId::parse(typed) {
        return if engine.paths.container(&id).join("config.json").exists() { Ok(id) } else { Err(no_such(typed)) };
    }
    let mut found: Option<ContainerId> = None;
    for id in ids(engine)? {
        if id.as_str().starts_with(typed) && found.replace(id).is_some() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("more than one result for container id {typed}: longer prefix needed"),
            ));
        }
    }
    found.ok_or_else(|| no_such(typed))
}

/// Finds and reads the container behind what a user typed.
pub fn find(engine: &Engine, typed: &str) -> Result<ContainerRecord> {
    load(engine, &find_id(engine, typed)?)
}

/// Returns the id that holds a name, if its container is there.
pub fn id_of_name(engine: &Engine, name: &Name) -> Result<Option<ContainerId>> {
    let path = engine.paths.graph_root.join("container-names").join(name.as_str());
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(ContainerId::parse(text.trim()).ok()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(format!("looking up name {name:?}"), e)),
    }
}

/// Returns the ids of all containers, in no order.
pub fn ids(engine: &Engine) -> Result<Vec<ContainerId>> {
    let dir = engine.paths.graph_root.join("containers");
    let entries = std::fs::read_dir(&dir).map_err(|e| Error::io(format!("listing {:?}", dir.display()), e))?;
    Ok(entries.filter_map(|entry| ContainerId::parse(entry.ok()?.file_name().to_str()?).ok()).collect())
}

/// Reads all containers, the newest last. One that is being made or removed at the moment is left out.
pub fn all(engine: &Engine) -> Result<Vec<ContainerRecord>> {
    let mut records: Vec<ContainerRecord> = ids(engine)?.iter().filter_map(|id| load(engine, id).ok()).collect();
    records.sort_by(|a, b| (a.created, a.id.as_str()).cmp(&(b.created, b.id.as_str())));
    Ok(records)
}

/// Returns the container that was made last.
pub fn latest(engine: &Engine) -> Result<ContainerRecord> {
    all(engine)?.pop().ok_or_else(|| Error::new(ErrorKind::NotFound, "no containers to choose the latest from"))
}

fn no_such(typed: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("no container with name or ID {typed:?} found: no such container"))
}
