//! `ps`

use super::Command;
use crate::app::App;
use crate::args::{Kind, Parsed, flag, refused};
use crate::failure::Failure;
use engine::Engine;
use engine::container::list::{self, Filter, ListOptions, Listed};
use engine::container::{Status, inspect};
use output::{Format, human, template};
use serde_json::{Value, json};

pub(crate) const PS: Command = Command {
    paths: &["ps", "container ps", "container list", "container ls"],
    about: "List containers",
    description: "Lists running containers; with --all, all of them.",
    usage: "[options]",
    examples: &["ps -a", "ps --format \"table {{.Names}}\\t{{.Status}}\"", "ps --filter label=app=web -q"],
    flags: &[&[
        flag("all", 'a', Kind::Switch, "", "Also those that do not run"),
        flag("filter", 'f', Kind::List, "KEY=VALUE", "Only containers that fit"),
        flag("format", ' ', Kind::Value, "FORMAT", "json, or a Go template"),
        flag("last", 'n', Kind::Value, "N", "The last so many made, whatever they do"),
        flag("latest", 'l', Kind::Switch, "", "The container made last, whatever it does"),
        flag("no-trunc", ' ', Kind::Switch, "", "Show everything in full"),
        flag("noheading", ' ', Kind::Switch, "", "Show no headers"),
        flag("ns", ' ', Kind::Switch, "", "Show namespaces"),
        flag("pod", 'p', Kind::Switch, "", "Show pods"),
        flag("quiet", 'q', Kind::Switch, "", "Show ids only"),
        flag("size", 's', Kind::Switch, "", "Show sizes"),
        flag("sort", ' ', Kind::Value, "KEY", "Sort by command, created, id, image, names, runningfor, size or status"),
        flag("sync", ' ', Kind::Switch, "", "Accepted as in Podman; here states are always true"),
        flag("watch", 'w', Kind::Value, "SECONDS", "Show it again every so many seconds"),
        refused("external", ' ', false),
    ]],
    options_first: false,
    arguments: (0, Some(0)),
    run: main,
};

/// Headers of fields in tables.
const HEADERS: &[(&str, &str)] = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("Created", "CREATED"),
    ("CreatedHuman", "CREATED"),
    ("CreatedAt", "CREATED"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("State", "STATE"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
    ("Size", "SIZE"),
    ("Pod", "POD ID"),
    ("PodName", "PODNAME"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("Networks", "NETWORKS"),
    ("Pid", "PID"),
];

fn main(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let watch: Option<u64> = parsed.number("watch")?;
    let format = parsed.value("format").map(Format::parse);
    if parsed.on("quiet") && format.is_some() {
        return Err(Failure::usage("quiet and format cannot be used together"));
    }
    let engine = app.engine()?;
    let last = if parsed.on("latest") { Some(1) } else { parsed.number::<i64>("last")?.and_then(|n| usize::try_from(n).ok()) };
    let options = ListOptions { all: parsed.on("all"), filters: filters_with_times(parsed.all("filter"))?, last };
    loop {
        let text = page(&engine, &parsed, &options, format.as_ref())?;
        match watch {
            None => {
                print!("{text}");
                return Ok(0);
            }
            Some(seconds) => {
                print!("\x1b[2J\x1b[H{text}");
                std::thread::sleep(std::time::Duration::from_secs(seconds.max(1)));
            }
        }
    }
}

/// Filters whose times are made absolute.
pub(super) fn filters_with_times(values: &[String]) -> Result<Vec<Filter>, Failure> {
    let mut filters = super::filters(values)?;
    for filter in filters.iter_mut().filter(|filter| filter.key == "until") {
        filter.value = spec::quantity::parse_time("until filter", &filter.value, engine::host::now())?.to_string();
    }
    Ok(filters)
}

fn page(engine: &Engine, parsed: &Parsed, options: &ListOptions, format: Option<&Format>) -> Result<String, Failure> {
    let mut listed = list::list(engine, options)?;
    sort(&mut listed, parsed.value("sort").unwrap_or("created"))?;
    let full = parsed.on("no-trunc");
    if parsed.on("quiet") {
        return Ok(listed.iter().map(|l| format!("{}\n", if full { l.record.id.as_str() } else { l.record.id.short() })).collect());
    }
    let now = engine::host::now();
    let with_size = parsed.on("size");
    let is_json = matches!(format, Some(Format::Json));
    let rows: Vec<Value> = listed.iter().map(|l| row(engine, l, now, full || is_json, with_size)).collect();
    let headings = !parsed.on("noheading");
    let layout = match format {
        Some(Format::Table(text)) if text.is_empty() => None,
        other => other,
    };
    if let Some(format) = layout {
        if is_json {
            let documents: Vec<Value> = rows.iter().zip(&listed).map(|(row, l)| json_row(row, l)).collect();
            return Ok(template::to_json(&Value::Array(documents)));
        }
        return Ok(template::render(format, &rows, HEADERS, headings)?);
    }
    let mut fields = if parsed.on("ns") {
        vec!["ID", "Names", "Pid", "CGROUPNS", "IPC", "MNT", "NET", "PIDNS", "USERNS", "UTS"]
    } else {
        vec!["ID", "Image", "Command", "CreatedHuman", "Status", "Ports", "Names"]
    };
    if parsed.on("pod") {
        fields.extend(["Pod", "PodName"]);
    }
    if with_size {
        fields.push("Size");
    }
    let text = fields.iter().map(|field| format!("{{{{.{field}}}}}")).collect::<Vec<_>>().join("\t");
    Ok(template::render(&Format::Table(text), &rows, HEADERS, headings)?)
}

fn sort(listed: &mut [Listed], key: &str) -> Result<(), Failure> {
    match key {
        "created" | "runningfor" => listed.sort_by_key(|l| l.record.created),
        "id" => listed.sort_by(|a, b| a.record.id.as_str().cmp(b.record.id.as_str())),
        "names" => listed.sort_by(|a, b| a.record.name.cmp(&b.record.name)),
        "image" => listed.sort_by_key(|l| l.record.image.as_ref().map(|image| image.name.clone())),
        "command" => listed.sort_by_key(|l| inspect::command(&l.record)),
        "status" => listed.sort_by_key(|l| l.look.status.as_str()),
        "size" => {}
        other => {
            return Err(Failure::usage(format!(
                "invalid sort key {other:?}: it is command, created, id, image, names, runningfor, size or status"
            )));
        }
    }
    Ok(())
}

fn row(engine: &Engine, l: &Listed, now: u128, full: bool, with_size: bool) -> Value {
    let record = &l.record;
    let command = inspect::command(record).join(" ");
    let command =
        if full || command.chars().count() <= 20 { command } else { format!("{}...", command.chars().take(17).collect::<String>()) };
    let created = human::ago(record.created, now);
    let namespace = |kind: &str| {
        let pid = l.look.run.as_ref().map_or(0, |run| run.init_pid);
        let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).map(|link| link.to_string_lossy().into_owned()).unwrap_or_default();
        link.trim_start_matches(|c: char| c != '[').trim_matches(['[', ']']).to_owned()
    };
    let labels = inspect::labels(record);
    let mounts: Vec<&str> =
        record.spec.mounts.iter().map(|m| m.target.as_str()).chain(record.volumes.iter().map(|v| v.target.as_str())).collect();
    let mut mounts: Vec<String> = mounts.into_iter().map(str::to_owned).collect();
    mounts.dedup();
    json!({
        "ID": if full { record.id.as_str() } else { record.id.short() },
        "Image": output::printable(&image_name(l)),
        "ImageID": record.image.as_ref().map(|image| image.id.hex()).unwrap_or_default(),
        "Command": output::printable(&command),
        "Created": created.clone(), "CreatedHuman": created.clone(), "RunningFor": created,
        "CreatedAt": human::go_time(record.created),
        "Status": status(l, now),
        "State": l.look.status.as_str(),
        "Ports": ports(l),
        "Names": record.name.as_str(),
        "Labels": labels.iter().map(|(key, value)| output::printable(&format!("{key}={value}"))).collect::<Vec<_>>().join(","),
        "Label": labels,
        "Mounts": mounts.join(","),
        "Networks": inspect::network_mode(record),
        "Pid": l.look.run.as_ref().map_or(0, |run| run.init_pid),
        "Exited": l.look.run.is_none() && l.look.exit.is_some(),
        "ExitCode": l.look.exit.as_ref().map_or(0, |exit| exit.code),
        "ExitedAt": l.look.exit.as_ref().map_or(0, |exit| (exit.finished / 1_000_000_000) as u64),
        "StartedAt": l.look.run.as_ref().map(|run| run.started).or(l.look.exit.as_ref().map(|exit| exit.started)).map_or(0, |at| (at / 1_000_000_000) as u64),
        "Restarts": l.look.run.as_ref().map(|run| run.restarts).or(l.look.exit.as_ref().map(|exit| exit.restarts)).unwrap_or(0),
        "AutoRemove": record.spec.remove,
        "IsInfra": false,
        "Pod": "", "PodName": "",
        "User": record.spec.process.user.clone().unwrap_or_default(),
        "CIDFile": record.spec.cidfile.clone().unwrap_or_default(),
        "ExposedPorts": "",
        "Cgroup": l.look.run.as_ref().and_then(|run| run.cgroup.clone()).unwrap_or_default(),
        "CGROUPNS": namespace("cgroup"), "IPC": namespace("ipc"), "MNT": namespace("mnt"), "NET": namespace("net"), "PIDNS": namespace("pid"), "USERNS": namespace("user"), "UTS": namespace("uts"),
        "Size": if with_size { size(engine, l) } else { String::new() },
    })
}

/// JSON has the same facts as numbers and lists.
fn json_row(row: &Value, l: &Listed) -> Value {
    let mut document = row.clone();
    let record = &l.record;
    document["Id"] = record.id.as_str().into();
    document["Names"] = json!([record.name.as_str()]);
    document["Command"] = json!(inspect::command(record));
    document["Created"] = json!((record.created / 1_000_000_000) as u64);
    document["Labels"] = json!(inspect::labels(record));
    document["Mounts"] = json!(record.spec.mounts.iter().map(|m| m.target.clone()).collect::<Vec<_>>());
    document["Networks"] = json!([inspect::network_mode(record)]);
    document["Ports"] = Value::Array(
        record.ports.iter().map(|p| json!({"host_ip": p.host_ip.map(|ip| ip.to_string()).unwrap_or_default(), "container_port": p.container_port, "host_port": p.host_port, "range": p.count, "protocol": p.protocol.as_str()})).collect(),
    );
    document
}

fn image_name(l: &Listed) -> String {
    l.record.image.as_ref().map_or_else(|| l.record.spec.image.clone(), |image| image.name.clone())
}

fn status(l: &Listed, now: u128) -> String {
    let since = |at: u128| human::duration((now.saturating_sub(at) / 1_000_000_000) as u64);
    match (l.look.status, &l.look.run, &l.look.exit) {
        (Status::Running, Some(run), _) => format!("Up {}", since(run.started)),
        (Status::Paused, Some(run), _) => format!("Up {} (Paused)", since(run.started)),
        (Status::Stopping, ..) => "Stopping".to_owned(),
        (Status::Exited, _, Some(exit)) => format!("Exited ({}) {} ago", exit.code, since(exit.finished)),
        _ => "Created".to_owned(),
    }
}

fn ports(l: &Listed) -> String {
    let range = |first: u16, count: u16| if count > 1 { format!("{first}-{}", first + (count - 1)) } else { first.to_string() };
    let published = l.record.ports.iter().map(|p| {
        let ip = p.host_ip.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
        format!("{ip}:{}->{}/{}", range(p.host_port.unwrap_or(0), p.count), range(p.container_port, p.count), p.protocol.as_str())
    });
    published.collect::<Vec<_>>().join(", ")
}

fn size(engine: &Engine, l: &Listed) -> String {
    let own = engine::container::size::changes(engine, &l.record);
    let image = engine::container::size::image(engine, &l.record);
    format!("{} (virtual {})", human::size_tight(own), human::size_tight(own + image))
}
