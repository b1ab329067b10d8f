//! Commands on images.

mod list;
pub(crate) mod obtain;
mod store;

pub(crate) use list::inspect;

use super::Command;
use crate::args::{Flag, Kind, flag, refused};
use crate::failure::Failure;
use crate::flags::IMAGE;
use crate::progress::Progress;
use engine::image::pull::{self, Policy};
use engine::image::{builtin, find, remove};
use obtain::Teller;
use registry::Location;

pub(crate) const COMMANDS: &[&Command] = &[
    &PULL,
    &LOAD,
    &RMI,
    &EXISTS,
    &PRUNE,
    &list::IMAGES,
    &list::HISTORY,
    &list::INSPECT,
    &store::TAG,
    &store::UNTAG,
    &store::LOGIN,
    &store::LOGOUT,
];

const PULL_FLAGS: &[Flag] = &[
    flag("all-tags", 'a', Kind::Switch, "", "Pull all tags of the repository"),
    flag("policy", ' ', Kind::Value, "POLICY", "Pull it: always, missing, never, newer (default always)"),
    refused("cert-dir", ' ', true),
    refused("decryption-key", ' ', true),
    refused("disable-content-trust", ' ', false),
    refused("signature-policy", ' ', true),
];

const PULL: Command = Command {
    paths: &["pull", "image pull"],
    about: "Pull images from a registry",
    description: "Copies images from registries, layouts or archives into the store.",
    usage: "[options] IMAGE [IMAGE...]",
    examples: &["pull nginx:latest", "pull quay.io/org/image", "pull oci:layout:name", "pull docker-archive:file.tar"],
    flags: &[PULL_FLAGS, IMAGE],
    options_first: false,
    arguments: (1, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let options = obtain::options(&parsed)?;
        let policy = parsed.value("policy").map_or(Ok(Policy::Always), |text| obtain::policy(Some(text)))?;
        let teller = Teller(Progress::new(parsed.on("quiet")));
        for typed in &parsed.positionals {
            if parsed.on("all-tags") {
                for image in pull::all_tags(&engine, typed, &options, &teller)? {
                    println!("{}", image.id.hex());
                }
                continue;
            }
            let here = engine.store().find_image(typed).map_err(|e| Failure::usage(e.to_string()))?;
            let image = match (here, policy) {
                (Some(image), Policy::Missing | Policy::Never) => image,
                (None, Policy::Never) => find::find(&engine, typed)?,
                _ if builtin::is_meant(typed) => builtin::install(&engine)?,
                _ => pull::pull(&engine, typed, &options, &teller)?,
            };
            println!("{}", image.id.hex());
        }
        Ok(0)
    },
};

const LOAD: Command = Command {
    paths: &["load", "image load"],
    about: "Load images from an archive",
    description: "Takes in the images of an archive made by save: docker-archive, oci-archive or a layout.",
    usage: "[options]",
    examples: &["load -i image.tar", "load < image.tar.gz"],
    flags: &[&[
        flag("input", 'i', Kind::Value, "FILE", "Read from this file or directory"),
        flag("quiet", 'q', Kind::Switch, "", "Say nothing while loading"),
        refused("signature-policy", ' ', true),
    ]],
    options_first: false,
    arguments: (0, Some(0)),
    run: |app, parsed| {
        let engine = app.engine()?;
        let store = engine.store();
        store.prepare().map_err(|e| Failure::usage(e.to_string()))?;
        let staged = storage::Staged::new(&store).map_err(|e| Failure::usage(e.to_string()))?;
        let path = match parsed.value("input") {
            Some(path) => std::path::PathBuf::from(path),
            None => {
                if rustix::termios::isatty(rustix::stdio::stdin()) {
                    return Err(Failure::usage("cannot read from terminal, use command-line redirection or the --input flag"));
                }
                let path = staged.path().join("input.tar");
                let mut file = std::fs::File::create(&path).map_err(|e| Failure::usage(format!("spooling the archive: {e}")))?;
                std::io::copy(&mut std::io::stdin().lock(), &mut file).map_err(|e| Failure::usage(format!("spooling the archive: {e}")))?;
                path
            }
        };
        let location = if path.is_dir() {
            if path.join("index.json").exists() { Location::OciDir { path, name: None } } else { Location::Dir(path) }
        } else {
            Location::DockerArchive { path, name: None }
        };
        let teller = Teller(Progress::new(parsed.on("quiet")));
        let options = pull::PullOptions { platform: obtain::platform(&parsed)?, ..Default::default() };
        for image in pull::load(&engine, &location, &options, &teller)? {
            if image.names.is_empty() {
                println!("Loaded image: {}", image.id);
            }
            for name in &image.names {
                println!("Loaded image: {name}");
            }
        }
        Ok(0)
    },
};

const RMI: Command = Command {
    paths: &["rmi", "image rm"],
    about: "Remove images",
    description: "Takes names from images; an image without names goes, with what only it needed.",
    usage: "[options] IMAGE [IMAGE...]",
    examples: &["rmi nginx", "rmi -f --all"],
    flags: &[&[
        flag("all", 'a', Kind::Switch, "", "All images"),
        flag("force", 'f', Kind::Switch, "", "Remove containers that use it too"),
        flag("ignore", 'i', Kind::Switch, "", "An image that is not there is no error"),
        flag("no-prune", ' ', Kind::Switch, "", "Accepted as in Podman; parents are not kept as images here"),
    ]],
    options_first: false,
    arguments: (0, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let mut names = parsed.positionals.clone();
        if parsed.on("all") {
            names =
                engine.store().images().map_err(|e| Failure::usage(e.to_string()))?.iter().map(|image| image.id.hex().to_owned()).collect();
        } else if names.is_empty() {
            return Err(Failure::usage("image name or ID must be specified"));
        }
        let mut last = None;
        for name in names {
            match remove::remove(&engine, &name, parsed.on("force") || parsed.on("all")) {
                Ok(removed) => {
                    for name in removed.untagged {
                        println!("Untagged: {name}");
                    }
                    if let Some(id) = removed.deleted {
                        println!("Deleted: {id}");
                    }
                }
                Err(error) if error.kind() == engine::ErrorKind::NotFound && (parsed.on("ignore") || parsed.on("force")) => {}
                Err(error) => {
                    if let Some(earlier) = last.replace(error) {
                        let earlier: engine::Error = earlier;
                        eprintln!("Error: {}", output::printable(&earlier.chain()));
                    }
                }
            }
        }
        match last {
            // Podman's codes: 1 for no such image, 2 for one in use.
            Some(error) => {
                let code = match error.kind() {
                    engine::ErrorKind::NotFound => 1,
                    engine::ErrorKind::Conflict => 2,
                    _ => 125,
                };
                eprintln!("Error: {}", output::printable(&error.chain()));
                if let Some(hint) = error.cure().and_then(crate::hints::hint) {
                    eprintln!("hint: {hint}");
                }
                Err(Failure::Code(code))
            }
            None => Ok(0),
        }
    },
};

const EXISTS: Command = Command {
    paths: &["image exists"],
    about: "Tell whether an image exists",
    description: "Ends with 0 if an image is here, and with 1 if not.",
    usage: "IMAGE",
    examples: &["image exists nginx"],
    flags: &[],
    options_first: false,
    arguments: (1, Some(1)),
    run: |app, parsed| match find::find(&app.engine()?, &parsed.positionals[0]) {
        Ok(_) => Ok(0),
        Err(error) if error.kind() == engine::ErrorKind::NotFound => Err(Failure::Code(1)),
        Err(error) => Err(error.into()),
    },
};

const PRUNE: Command = Command {
    paths: &["image prune"],
    about: "Remove images nobody uses",
    description: "Removes images without a name; with --all, all that no container uses.",
    usage: "[options]",
    examples: &["image prune -f", "image prune --all --force"],
    flags: &[&[
        flag("all", 'a', Kind::Switch, "", "All images that no container uses"),
        flag("force", 'f', Kind::Switch, "", "Do not ask"),
        refused("filter", ' ', true),
        refused("external", ' ', false),
        refused("build-cache", ' ', false),
    ]],
    options_first: false,
    arguments: (0, Some(0)),
    run: |app, parsed| {
        let what = if parsed.on("all") {
            "This command removes all images without at least one container associated with them."
        } else {
            "This command removes all dangling images."
        };
        if !parsed.on("force") && !crate::page::confirm(what)? {
            return Ok(0);
        }
        for id in remove::prune(&app.engine()?, parsed.on("all"))? {
            println!("{id}");
        }
        Ok(0)
    },
};
