//! Commands on the engine and the host.

use super::Command;
use crate::args::{Kind, flag, refused};
use crate::failure::Failure;
use engine::container::{Status, list};
use engine::doctor::{self, Verdict};
use engine::{container, image, namespace, volume};
use output::{Format, human, template};
use serde_json::{Value, json};

pub(crate) const COMMANDS: &[&Command] = &[&DOCTOR, &INFO, &VERSION, &UNSHARE, &DF, &PRUNE, &COMPLETION, &MAN];

const DOCTOR: Command = Command {
    paths: &["doctor"],
    about: "Check whether containers can run here, and what to do if not",
    description: "Checks every prerequisite and prints the command that mends what is missing.",
    usage: "[options]",
    examples: &["doctor", "doctor --format json"],
    flags: &[&[flag("format", ' ', Kind::Value, "FORMAT", "json, or a Go template")]],
    options_first: false,
    arguments: (0, Some(0)),
    run: |app, parsed| {
        let findings = doctor::examine(&app.engine()?);
        let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Good);
        if let Some(format) = parsed.value("format") {
            let rows: Vec<Value> = findings.iter().map(|finding| serde_json::to_value(finding).unwrap_or_default()).collect();
            print!("{}", template::render(&Format::parse(format), &rows, &[], true)?);
        } else {
            for finding in &findings {
                let mark = match finding.verdict {
                    Verdict::Good => "ok      ",
                    Verdict::Limited => "limited ",
                    Verdict::Bad => "MISSING ",
                };
                println!("{mark} {:<20} {}", finding.check, output::printable(&finding.seen));
                for line in &finding.fix {
                    println!("{:>31}{line}", "fix: ");
                }
            }
        }
        Ok(i32::from(worst == Verdict::Bad))
    },
};

const VERSION: Command = Command {
    paths: &["version"],
    about: "Show the version",
    description: "Shows the version of coracle.",
    usage: "[options]",
    examples: &["version"],
    flags: &[&[flag("format", 'f', Kind::Value, "FORMAT", "json, or a Go template")]],
    options_first: false,
    arguments: (0, Some(0)),
    run: |_, parsed| {
        let document = json!({"Client": {"APIVersion": "5.0.0", "Version": env!("CARGO_PKG_VERSION"), "GoVersion": "", "GitCommit": "", "Built": 0, "OsArch": format!("linux/{}", image::builtin::architecture()), "Os": "linux"}});
        match parsed.value("format") {
            Some(format) => print!("{}", template::render_one(&Format::parse(format), &document)?),
            None => println!(
                "Client:       coracle\nVersion:      {}\nOS/Arch:      linux/{}",
                env!("CARGO_PKG_VERSION"),
                image::builtin::architecture()
            ),
        }
        Ok(0)
    },
};

const INFO: Command = Command {
    paths: &["info", "system info"],
    about: "Show what the engine knows of the host and the store",
    description: "Shows facts of the host, the store and the engine.",
    usage: "[options]",
    examples: &["info", "info --format \"{{.store.graphRoot}}\""],
    flags: &[&[flag("format", 'f', Kind::Value, "FORMAT", "json, or a Go template")]],
    options_first: false,
    arguments: (0, Some(0)),
    run: |app, parsed| {
        let engine = app.engine()?;
        let listed = list::list(&engine, &list::ListOptions { all: true, ..Default::default() })?;
        let count = |wanted: Status| listed.iter().filter(|l| l.look.status == wanted).count();
        let images = engine.store().images().map_err(|e| Failure::usage(e.to_string()))?.len();
        let seen = engine::cgroup::describe(&engine);
        let release = rustix::system::uname();
        let maps = |rootless: bool| -> Value {
            if !rootless {
                return Value::Null;
            }
            match engine::subids::engine_maps(engine.uid, engine.gid) {
                Ok(maps) => {
                    let list = |maps: &[spec::container::IdMap]| {
                        maps.iter().map(|m| json!({"container_id": m.container, "host_id": m.host, "size": m.size})).collect::<Vec<_>>()
                    };
                    json!({"uidmap": list(&maps.uid), "gidmap": list(&maps.gid)})
                }
                Err(_) => Value::Null,
            }
        };
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = |key: &str| {
            memory.lines().find_map(|line| line.strip_prefix(key)?.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
        };
        let document = json!({
            "host": {
                "arch": image::builtin::architecture(), "cgroupVersion": if seen.is_v2 { "v2" } else { "v1" }, "cgroupControllers": seen.controllers, "cgroupManager": "cgroupfs", "cpus": std::thread::available_parallelism().map_or(1, usize::from),
                "hostname": release.nodename().to_string_lossy(), "idMappings": maps(engine.is_rootless()), "kernel": release.release().to_string_lossy(), "logDriver": "k8s-file", "memFree": kib("MemAvailable:"), "memTotal": kib("MemTotal:"),
                "networkBackend": "pasta", "ociRuntime": {"name": "coracle", "package": "built in", "path": "", "version": env!("CARGO_PKG_VERSION")}, "os": "linux", "rootlessNetworkCmd": "pasta",
                "security": {"apparmorEnabled": false, "rootless": engine.is_rootless(), "seccompEnabled": true, "seccompProfilePath": "", "selinuxEnabled": std::path::Path::new("/sys/fs/selinux/enforce").exists()},
                "swapFree": kib("SwapFree:"), "swapTotal": kib("SwapTotal:"), "serviceIsRemote": false,
            },
            "store": {
                "containerStore": {"number": listed.len(), "paused": count(Status::Paused), "running": count(Status::Running), "stopped": count(Status::Exited) + count(Status::Created)}, "graphDriverName": "overlay",
                "graphOptions": {}, "graphRoot": engine.paths.graph_root, "imageStore": {"number": images}, "runRoot": engine.paths.run_root, "volumePath": engine.paths.graph_root.join("volumes"),
            },
            "version": {"APIVersion": "5.0.0", "Version": env!("CARGO_PKG_VERSION"), "OsArch": format!("linux/{}", image::builtin::architecture())},
        });
        match parsed.value("format") {
            Some(format) => print!("{}", template::render_one(&Format::parse(format), &document)?),
            None => print_tree(&document, 0),
        }
        Ok(0)
    },
};

/// A document as indented lines, as Podman prints it.
fn print_tree(value: &Value, depth: usize) {
    let pad = "  ".repeat(depth);
    if let Value::Object(map) = value {
        for (key, value) in map {
            match value {
                Value::Object(inner) if !inner.is_empty() => {
                    println!("{pad}{key}:");
                    print_tree(value, depth + 1);
                }
                Value::Array(list) if !list.is_empty() => {
                    println!("{pad}{key}:");
                    list.iter().for_each(|item| println!("{pad}- {}", item.as_str().map_or_else(|| item.to_string(), str::to_owned)));
                }
                Value::String(text) => println!("{pad}{key}: {}", output::printable(text)),
                other => println!("{pad}{key}: {other}"),
            }
        }
    }
}

const UNSHARE: Command = Command {
    paths: &["unshare"],
    about: "Run a command in the user namespace of the engine",
    description: "Runs a command as root of the namespace in which the store lives; without a command, a shell.",
    usage: "[COMMAND [ARG...]]",
    examples: &["unshare cat /proc/self/uid_map", "unshare"],
    flags: &[&[refused("rootless-netns", ' ', false)]],
    options_first: true,
    arguments: (0, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        if !engine.is_rootless() {
            return Err(Failure::usage("please use unshare with rootless"));
        }
        let mut words = parsed.positionals.into_iter().map(std::ffi::OsString::from);
        let program = words.next().or_else(|| std::env::var_os("SHELL")).unwrap_or_else(|| "/bin/sh".into());
        Ok(namespace::run_program(&engine, &program, &words.collect::<Vec<_>>())?)
    },
};

const DF: Command = Command {
    paths: &["system df"],
    about: "Show how much room images, containers and volumes take",
    description: "Shows how much room the store takes, and how much of it could be had back.",
    usage: "[options]",
    examples: &["system df"],
    flags: &[&[flag("format", ' ', Kind::Value, "FORMAT", "json, or a Go template"), refused("verbose", 'v', false)]],
    options_first: false,
    arguments: (0, Some(0)),
    run: |app, parsed| {
        let engine = app.engine()?;
        let store = engine.store();
        let failed = |e: storage::StoreError| Failure::usage(e.to_string());
        let images = store.images().map_err(failed)?;
        let listed = list::list(&engine, &list::ListOptions { all: true, ..Default::default() })?;
        let used_images: Vec<_> =
            images.iter().filter(|image| listed.iter().any(|l| l.record.image.as_ref().is_some_and(|used| used.id == image.id))).collect();
        let layer_size =
            |layers: &[oci::Digest]| -> u64 { layers.iter().filter_map(|layer| store.layer(layer).ok()).map(|layer| layer.size).sum() };
        let all_layers = store.layers();
        let used_layers: Vec<_> =
            all_layers.iter().filter(|layer| used_images.iter().any(|image| image.layers.contains(layer))).cloned().collect();
        let (total, used) = (layer_size(&all_layers), layer_size(&used_layers));
        let sizes: Vec<(u64, bool)> = listed.iter().map(|l| (container::size::changes(&engine, &l.record), l.look.run.is_some())).collect();
        let volumes = store.volumes().map_err(failed)?;
        let in_use = volume::used(&engine)?;
        let volume_sizes: Vec<(u64, bool)> = namespace::inside(&engine, || {
            Ok(volumes
                .iter()
                .map(|v| (container::size::tree(&store.volume_data(&v.name)).unwrap_or(0), in_use.contains_key(v.name.as_str())))
                .collect())
        })?;
        let sum = |list: &[(u64, bool)], used: Option<bool>| {
            list.iter().filter(|(_, u)| used.is_none_or(|wanted| *u == wanted)).map(|(size, _)| size).sum::<u64>()
        };
        let share = |part: u64, whole: u64| format!("{} ({}%)", human::size_tight(part), (part * 100).checked_div(whole).unwrap_or(0));
        let row = |kind: &str, count: usize, active: usize, size: u64, free: u64| json!({"Type": kind, "Total": count, "Active": active, "Size": human::size_tight(size), "Reclaimable": share(free, size), "RawSize": size, "RawReclaimable": free});
        let rows = [
            row("Images", images.len(), used_images.len(), total, total.saturating_sub(used)),
            row(
                "Containers",
                listed.len(),
                listed.iter().filter(|l| l.look.run.is_some()).count(),
                sum(&sizes, None),
                sum(&sizes, Some(false)),
            ),
            row(
                "Local Volumes",
                volumes.len(),
                volume_sizes.iter().filter(|(_, used)| *used).count(),
                sum(&volume_sizes, None),
                sum(&volume_sizes, Some(false)),
            ),
        ];
        let format = parsed
            .value("format")
            .map_or_else(|| Format::Table("{{.Type}}\t{{.Total}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}".to_owned()), Format::parse);
        print!("{}", template::render(&format, &rows, &[], true)?);
        Ok(0)
    },
};

const PRUNE: Command = Command {
    paths: &["system prune"],
    about: "Remove everything that is not used",
    description: "Removes containers that do not run and images without a name; with --all and --volumes, more.",
    usage: "[options]",
    examples: &["system prune -f", "system prune --all --volumes"],
    flags: &[&[
        flag("all", 'a', Kind::Switch, "", "All images that no container uses"),
        flag("force", 'f', Kind::Switch, "", "Do not ask"),
        flag("volumes", ' ', Kind::Switch, "", "Volumes that no container uses too"),
        refused("build", ' ', false),
        refused("external", ' ', false),
        refused("filter", ' ', true),
    ]],
    options_first: false,
    arguments: (0, Some(0)),
    run: |app, parsed| {
        if !parsed.on("force") && !crate::page::confirm("This command removes all stopped containers and unused images.")? {
            return Ok(0);
        }
        let engine = app.engine()?;
        for l in list::list(&engine, &list::ListOptions { all: true, ..Default::default() })?.iter().filter(|l| l.look.run.is_none()) {
            container::remove::remove(
                &engine,
                &l.record,
                container::remove::RemoveOptions { force: false, volumes: false, timeout: None },
            )?;
            println!("Deleted Container {}", l.record.id);
        }
        if parsed.on("volumes") {
            for name in volume::prune(&engine)? {
                println!("Deleted Volume {name}");
            }
        }
        for id in image::remove::prune(&engine, parsed.on("all"))? {
            println!("Deleted Image {id}");
        }
        Ok(0)
    },
};

const COMPLETION: Command = Command {
    paths: &["completion"],
    about: "Print the completion script of a shell",
    description: "Prints a script that completes commands and flags in bash, zsh or fish.",
    usage: "SHELL",
    examples: &["completion bash > /etc/bash_completion.d/coracle"],
    flags: &[],
    options_first: false,
    arguments: (1, Some(1)),
    run: |_, parsed| {
        print!("{}", crate::page::completion(&parsed.positionals[0])?);
        Ok(0)
    },
};

const MAN: Command = Command {
    paths: &["man-pages"],
    about: "Write the man pages to a directory",
    description: "Writes a man page for each command.",
    usage: "DIRECTORY",
    examples: &["man-pages /usr/local/share/man/man1"],
    flags: &[],
    options_first: false,
    arguments: (1, Some(1)),
    run: |_, parsed| {
        let count = crate::page::write_man_pages(std::path::Path::new(&parsed.positionals[0]))?;
        println!("{count} pages written");
        Ok(0)
    },
};
