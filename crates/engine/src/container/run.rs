//! `run`: `create` and `start` in one, without anybody in between.

use super::record::{ContainerRecord, ImageUse};
use super::start::{StartOptions, Started};
use super::{create, remove, start};
use crate::error::Result;
use crate::open::Engine;
use spec::ContainerSpec;

/// Makes and starts a container. With `--rm` one that cannot start is removed again.
pub fn run(engine: &Engine, spec: ContainerSpec, image: Option<ImageUse>, options: StartOptions) -> Result<(ContainerRecord, Started)> {
    let record = create::create(engine, spec, image)?;
    write_cidfile(&record)?;
    match start::start(engine, &record.id, options) {
        Ok(started) => Ok((record, started)),
        Err(error) => {
            if record.spec.remove {
                // The reason it did not start is what the user has to hear.
                let _ = remove::discard(engine, &record, true);
            }
            Err(error)
        }
    }
}

/// Writes `--cidfile`, which must not exist: it would name another container.
pub fn write_cidfile(record: &ContainerRecord) -> Result<()> {
    use std::io::Write;
    let Some(path) = &record.spec.cidfile else { return Ok(()) };
    let doing = |e| crate::error::Error::io(format!("writing container id file {path:?}"), e);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(doing)?;
    file.write_all(record.id.as_str().as_bytes()).map_err(doing)
}
