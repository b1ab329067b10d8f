//! `create`

use super::super::image::obtain;
use super::Command;
use crate::app::App;
use crate::args::Parsed;
use crate::failure::Failure;
use crate::flags;
use engine::container::{create, run};

pub(crate) const CREATE: Command = Command {
    paths: &["create", "container create"],
    about: "Make a container without starting it",
    description: "Makes a container of an image; `start` runs it.",
    usage: "[options] IMAGE [COMMAND [ARG...]]",
    examples: &["create --name web -p 8080:80 nginx"],
    flags: flags::CONTAINER,
    options_first: true,
    arguments: (1, None),
    run: main,
};

fn main(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let mut spec = flags::container_spec(&parsed)?;
    let engine = app.engine()?;
    spec.create_command = app.line.clone();
    let image = if spec.rootfs { None } else { Some(obtain::for_container(&engine, &spec.image, &parsed)?) };
    if parsed.on("replace") {
        super::run::replace(&engine, &spec)?;
    }
    let record = create::create(&engine, spec, image)?;
    run::write_cidfile(&record)?;
    println!("{}", record.id);
    Ok(0)
}
