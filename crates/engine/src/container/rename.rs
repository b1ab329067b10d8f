//! `rename`: the new name is claimed before the old one is given back.

use super::record::ContainerRecord;
use super::{find, lock::VerbLock, names};
use crate::error::Result;
use crate::json::{self, Durability};
use crate::open::Engine;
use spec::{ContainerId, Name};

/// Gives a container another name.
pub fn rename(engine: &Engine, id: &ContainerId, name: &Name) -> Result<ContainerRecord> {
    let _lock = VerbLock::take(engine, id)?;
    let mut record = find::load(engine, id)?;
    if record.name == *name {
        return Ok(record);
    }
    names::claim(engine, name, id)?;
    let old = std::mem::replace(&mut record.name, name.clone());
    if let Err(error) = json::save(&engine.paths.container(id).join("config.json"), &record, Durability::Durable) {
        names::release(engine, name, id);
        return Err(error);
    }
    names::release(engine, &old, id);
    Ok(record)
}
