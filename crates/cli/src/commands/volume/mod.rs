//! Commands on volumes.

use super::Command;
use crate::args::{Kind, flag, refused};
use crate::failure::Failure;
use engine::Engine;
use engine::volume;
use output::{Format, human, template};
use serde_json::{Value, json};
use spec::Name;
use storage::volume::VolumeRecord;

pub(crate) const COMMANDS: &[&Command] = &[&CREATE, &LS, &INSPECT, &RM, &PRUNE, &EXISTS];

/// The document of a volume, as Podman writes it.
pub(crate) fn document(engine: &Engine, volume: &VolumeRecord) -> Value {
    json!({
        "Name": volume.name.as_str(), "Driver": "local", "Mountpoint": engine.store().volume_data(&volume.name), "CreatedAt": human::rfc3339(volume.created), "Labels": volume.labels,
        "Scope": "local", "Options": volume.options, "Anonymous": volume.anonymous, "MountCount": 0, "NeedsCopyUp": !volume.filled, "LockNumber": 0,
    })
}

const CREATE: Command = Command {
    paths: &["volume create"],
    about: "Make a volume",
    description: "Makes a volume; without a name one is made up.",
    usage: "[options] [NAME]",
    examples: &["volume create data"],
    flags: &[&[
        flag("label", 'l', Kind::List, "KEY=VALUE", "Label of the volume"),
        flag("ignore", ' ', Kind::Switch, "", "A volume that is there already is no error"),
        flag("driver", 'd', Kind::Value, "DRIVER", "Only local"),
        refused("opt", 'o', true),
        refused("uid", ' ', true),
        refused("gid", ' ', true),
    ]],
    options_first: false,
    arguments: (0, Some(1)),
    run: |app, parsed| {
        let engine = app.engine()?;
        if parsed.value("driver").is_some_and(|driver| driver != "local") {
            return Err(Failure::usage("only the volume driver local is supported by coracle yet"));
        }
        let name = match parsed.positionals.first() {
            Some(name) => Name::parse(name)?,
            None => volume::anonymous("").name,
        };
        let labels = crate::flags::pairs(parsed.all("label")).collect();
        volume::create(&engine, &name, labels, parsed.on("ignore"))?;
        println!("{name}");
        Ok(0)
    },
};

const LS: Command = Command {
    paths: &["volume ls", "volume list"],
    about: "List volumes",
    description: "Lists the volumes that are here.",
    usage: "[options]",
    examples: &["volume ls", "volume ls --filter label=app=web"],
    flags: &[&[
        flag("filter", 'f', Kind::List, "KEY=VALUE", "Only volumes that fit: name=, label=, dangling="),
        flag("format", ' ', Kind::Value, "FORMAT", "json, or a Go template"),
        flag("noheading", 'n', Kind::Switch, "", "Show no headers"),
        flag("quiet", 'q', Kind::Switch, "", "Show names only"),
    ]],
    options_first: false,
    arguments: (0, Some(0)),
    run: |app, parsed| {
        let engine = app.engine()?;
        let mut volumes = engine.store().volumes().map_err(|e| Failure::usage(e.to_string()))?;
        for text in parsed.all("filter") {
            let (key, value) =
                text.split_once('=').ok_or_else(|| Failure::usage(format!("invalid filter {text:?}: it is written KEY=VALUE")))?;
            match key {
                "name" => volumes.retain(|volume| volume.name.as_str().contains(value)),
                "label" => volumes.retain(|volume| match value.split_once('=') {
                    Some((key, value)) => volume.labels.get(key).is_some_and(|known| known == value),
                    None => volume.labels.contains_key(value),
                }),
                "dangling" => {
                    let used = volume::used(&engine)?;
                    volumes.retain(|volume| used.contains_key(volume.name.as_str()) != (value == "true"));
                }
                other => return Err(Failure::usage(format!("{other:?} is an invalid volume filter: it is name, label or dangling"))),
            }
        }
        if parsed.on("quiet") {
            volumes.iter().for_each(|volume| println!("{}", volume.name));
            return Ok(0);
        }
        let rows: Vec<Value> = volumes.iter().map(|volume| document(&engine, volume)).collect();
        let format = parsed.value("format").map_or_else(|| Format::Table("{{.Driver}}\t{{.Name}}".to_owned()), Format::parse);
        print!("{}", template::render(&format, &rows, &[("Name", "VOLUME NAME")], !parsed.on("noheading"))?);
        Ok(0)
    },
};

const INSPECT: Command = Command {
    paths: &["volume inspect"],
    about: "Show all facts of volumes",
    description: "Shows volumes as JSON, or by a template.",
    usage: "[options] VOLUME [VOLUME...]",
    examples: &["volume inspect data", "volume inspect --format \"{{.Mountpoint}}\" data"],
    flags: &[&[flag("all", 'a', Kind::Switch, "", "All volumes"), flag("format", 'f', Kind::Value, "FORMAT", "json, or a Go template")]],
    options_first: false,
    arguments: (0, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let volumes = if parsed.on("all") {
            engine.store().volumes().map_err(|e| Failure::usage(e.to_string()))?
        } else {
            parsed.positionals.iter().map(|name| volume::find(&engine, name)).collect::<engine::Result<_>>()?
        };
        let documents: Vec<Value> = volumes.iter().map(|volume| document(&engine, volume)).collect();
        crate::commands::container::print_documents(&documents, parsed.value("format"))
    },
};

const RM: Command = Command {
    paths: &["volume rm", "volume remove"],
    about: "Remove volumes",
    description: "Removes volumes that no container uses.",
    usage: "[options] VOLUME [VOLUME...]",
    examples: &["volume rm data", "volume rm --force data"],
    flags: &[&[
        flag("all", 'a', Kind::Switch, "", "All volumes"),
        flag("force", 'f', Kind::Switch, "", "Remove containers that use it too"),
        flag("time", 't', Kind::Value, "SECONDS", "Seconds until those are killed"),
    ]],
    options_first: false,
    arguments: (0, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let names = if parsed.on("all") {
            engine.store().volumes().map_err(|e| Failure::usage(e.to_string()))?.iter().map(|volume| volume.name.to_string()).collect()
        } else {
            parsed.positionals.clone()
        };
        if names.is_empty() && !parsed.on("all") {
            return Err(Failure::usage("you must provide at least one volume name"));
        }
        let mut code = 0;
        for name in names {
            match volume::remove(&engine, &name, parsed.on("force"), parsed.number("time")?) {
                Ok(()) => println!("{name}"),
                Err(error) if error.kind() == engine::ErrorKind::NotFound && parsed.on("force") => {}
                Err(error) => {
                    eprintln!("Error: {}", output::printable(&error.chain()));
                    code = match error.kind() {
                        engine::ErrorKind::NotFound => 1,
                        engine::ErrorKind::Conflict => 2,
                        _ => 125,
                    };
                }
            }
        }
        Ok(code)
    },
};

const PRUNE: Command = Command {
    paths: &["volume prune"],
    about: "Remove volumes nobody uses",
    description: "Removes all volumes that no container uses.",
    usage: "[options]",
    examples: &["volume prune -f"],
    flags: &[&[flag("force", 'f', Kind::Switch, "", "Do not ask"), refused("filter", ' ', true), refused("all", 'a', false)]],
    options_first: false,
    arguments: (0, Some(0)),
    run: |app, parsed| {
        if !parsed.on("force") && !crate::page::confirm("This will remove all volumes not used by at least one container.")? {
            return Ok(0);
        }
        for name in volume::prune(&app.engine()?)? {
            println!("{name}");
        }
        Ok(0)
    },
};

const EXISTS: Command = Command {
    paths: &["volume exists"],
    about: "Tell whether a volume exists",
    description: "Ends with 0 if a volume is there, and with 1 if not.",
    usage: "VOLUME",
    examples: &["volume exists data"],
    flags: &[],
    options_first: false,
    arguments: (1, Some(1)),
    run: |app, parsed| match volume::find(&app.engine()?, &parsed.positionals[0]) {
        Ok(_) => Ok(0),
        Err(error) if error.kind() == engine::ErrorKind::NotFound => Err(Failure::Code(1)),
        Err(error) => Err(error.into()),
    },
};
