//! `images`, `history`, `image inspect`

use super::Command;
use crate::app::App;
use crate::args::{Kind, Parsed, flag, refused};
use crate::failure::Failure;
use engine::image::find;
use output::{Format, human, template};
use serde_json::{Value, json};
use storage::ImageRecord;

pub(super) const IMAGES: Command = Command {
    paths: &["images", "image list", "image ls"],
    about: "List images",
    description: "Lists the images that are here.",
    usage: "[options] [IMAGE]",
    examples: &["images", "images --digests", "images --format \"{{.Repository}}:{{.Tag}}\""],
    flags: &[&[
        flag("all", 'a', Kind::Switch, "", "Accepted as in Podman; there are no images in between here"),
        flag("digests", ' ', Kind::Switch, "", "Show digests"),
        flag("filter", 'f', Kind::List, "KEY=VALUE", "Only images that fit: dangling=, reference=, label=, id="),
        flag("format", ' ', Kind::Value, "FORMAT", "json, or a Go template"),
        flag("no-trunc", ' ', Kind::Switch, "", "Show everything in full"),
        flag("noheading", 'n', Kind::Switch, "", "Show no headers"),
        flag("quiet", 'q', Kind::Switch, "", "Show ids only"),
        flag("sort", ' ', Kind::Value, "KEY", "Sort by created, id, repository, size or tag"),
        refused("history", ' ', false),
    ]],
    options_first: false,
    arguments: (0, Some(1)),
    run: images,
};

const HEADERS: &[(&str, &str)] = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("Created", "CREATED"),
    ("Size", "SIZE"),
];

fn images(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let engine = app.engine()?;
    let store = engine.store();
    let mut found = store.images().map_err(|e| Failure::usage(e.to_string()))?;
    if let Some(typed) = parsed.positionals.first() {
        found.retain(|image| image.names.iter().any(|name| fits(&name.to_string(), typed)));
    }
    for text in parsed.all("filter") {
        let (key, value) =
            text.split_once('=').ok_or_else(|| Failure::usage(format!("invalid filter {text:?}: it is written KEY=VALUE")))?;
        match key {
            "dangling" => found.retain(|image| image.names.is_empty() == (value == "true")),
            "reference" => found.retain(|image| image.names.iter().any(|name| fits(&name.to_string(), value))),
            "id" => found.retain(|image| image.id.hex().starts_with(value)),
            "label" => found.retain(|image| {
                let labels = store.image_config(image).map(|config| config.config.labels).unwrap_or_default();
                match value.split_once('=') {
                    Some((key, value)) => labels.get(key).is_some_and(|known| known == value),
                    None => labels.contains_key(value),
                }
            }),
            other => return Err(Failure::usage(format!("unsupported filter {other:?}: it is dangling, reference, label or id"))),
        }
    }
    match parsed.value("sort").unwrap_or("created") {
        "created" => {}
        "id" => found.sort_by(|a, b| a.id.hex().cmp(b.id.hex())),
        "size" => found.sort_by_key(|image| image.size),
        "repository" | "tag" => found.sort_by_key(|image| image.names.first().map(ToString::to_string)),
        other => return Err(Failure::usage(format!("invalid sort key {other:?}: it is created, id, repository, size or tag"))),
    }
    let full = parsed.on("no-trunc");
    if parsed.on("quiet") {
        for image in &found {
            println!("{}", if full { image.id.to_string() } else { image.id.short().to_owned() });
        }
        return Ok(0);
    }
    let format = parsed.value("format").map(Format::parse);
    if format == Some(Format::Json) {
        let documents = found.iter().map(document).collect();
        print!("{}", template::to_json(&Value::Array(documents)));
        return Ok(0);
    }
    let now = engine::host::now();
    let rows: Vec<Value> = found.iter().flat_map(|image| rows(image, full, now)).collect();
    let format = match format {
        None => None,
        Some(Format::Table(text)) if text.is_empty() => None,
        other => other,
    };
    let format = format.unwrap_or_else(|| {
        let digest = if parsed.on("digests") { "{{.Digest}}\t" } else { "" };
        Format::Table(format!("{{{{.Repository}}}}\t{{{{.Tag}}}}\t{digest}{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}"))
    });
    print!("{}", template::render(&format, &rows, HEADERS, !parsed.on("noheading"))?);
    Ok(0)
}

/// A name fits what was typed in full, without its tag, or without its registry; `*` stands for anything.
fn fits(name: &str, typed: &str) -> bool {
    fn glob(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => glob(&pattern[1..], text) || !text.is_empty() && glob(pattern, &text[1..]),
            (Some(a), Some(b)) if a == b => glob(&pattern[1..], &text[1..]),
            _ => false,
        }
    }
    let without_tag = name.rfind(':').filter(|at| !name[*at..].contains('/')).map_or(name, |at| &name[..at]);
    [name, without_tag].into_iter().any(|name| {
        let ends = |name: &str| glob(typed.as_bytes(), name.as_bytes());
        ends(name) || name.match_indices('/').any(|(at, _)| ends(&name[at + 1..]))
    })
}

fn rows(image: &ImageRecord, full: bool, now: u128) -> Vec<Value> {
    let created = spec::quantity::parse_time("time", &image.created, now).unwrap_or(image.arrived);
    let row = |repository: &str, tag: &str| {
        json!({
            "Repository": output::printable(repository), "Tag": output::printable(tag),
            "ID": if full { image.id.to_string() } else { image.id.short().to_owned() }, "Id": image.id.hex(),
            "Digest": image.digest.to_string(),
            "CreatedSince": human::ago(created, now), "Created": human::ago(created, now), "CreatedAt": human::go_time(created), "CreatedTime": human::go_time(created),
            "Size": human::size(image.size), "VirtualSize": human::size(image.size),
            "Names": image.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "RepoTags": image.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "Dangling": image.names.is_empty(), "ReadOnly": false, "Containers": 0,
        })
    };
    if image.names.is_empty() {
        return vec![row("<none>", "<none>")];
    }
    image.names.iter().map(|name| row(&name.name(), name.tag().unwrap_or("<none>"))).collect()
}

fn document(image: &ImageRecord) -> Value {
    let created = spec::quantity::parse_time("time", &image.created, 0).unwrap_or(image.arrived);
    json!({
        "Id": image.id.hex(), "ParentId": "",
        "RepoTags": image.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "RepoDigests": image.repo_digests.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "Size": image.size, "SharedSize": 0, "VirtualSize": image.size, "Labels": Value::Null, "Containers": 0,
        "Names": image.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "Digest": image.digest.to_string(), "Created": (created / 1_000_000_000) as u64, "CreatedAt": human::rfc3339(created),
    })
}

pub(super) const HISTORY: Command = Command {
    paths: &["history", "image history"],
    about: "Show how an image was made",
    description: "Shows the steps an image was made by, the last one first.",
    usage: "[options] IMAGE",
    examples: &["history nginx"],
    flags: &[&[
        flag("format", ' ', Kind::Value, "FORMAT", "json, or a Go template"),
        flag("human", 'H', Kind::Switch, "", "Show sizes and times for people (default true)"),
        flag("no-trunc", ' ', Kind::Switch, "", "Show everything in full"),
        flag("quiet", 'q', Kind::Switch, "", "Show ids only"),
    ]],
    options_first: false,
    arguments: (1, Some(1)),
    run: history,
};

fn history(app: &App, parsed: Parsed) -> Result<i32, Failure> {
    let engine = app.engine()?;
    let store = engine.store();
    let image = find::find(&engine, &parsed.positionals[0])?;
    let config = store.image_config(&image).map_err(|e| Failure::usage(e.to_string()))?;
    let now = engine::host::now();
    let mut layers = image.layers.iter();
    let mut rows = Vec::new();
    let full = parsed.on("no-trunc");
    let people = parsed.given("human") != Some(false);
    for step in &config.history {
        let size = if step.empty_layer { 0 } else { layers.next().and_then(|layer| store.layer(layer).ok()).map_or(0, |layer| layer.size) };
        let created = step.created.as_deref().and_then(|text| spec::quantity::parse_time("time", text, now).ok()).unwrap_or(0);
        let by = step.created_by.clone().unwrap_or_default();
        let by = if full || by.chars().count() <= 45 { by } else { format!("{}...", by.chars().take(42).collect::<String>()) };
        rows.push(json!({
            "ID": "<missing>", "Created": if people { human::ago(created, now) } else { human::rfc3339(created) }, "CreatedAt": human::rfc3339(created), "CreatedSince": human::ago(created, now),
            "CreatedBy": output::printable(&by), "Size": if people { human::size(size) } else { size.to_string() }, "Comment": output::printable(step.comment.as_deref().unwrap_or_default()), "Tags": [],
        }));
    }
    rows.reverse();
    if let Some(first) = rows.first_mut() {
        first["ID"] = if full { image.id.hex() } else { image.id.short() }.into();
        first["Tags"] = json!(image.names.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    if parsed.on("quiet") {
        for row in &rows {
            println!("{}", row["ID"].as_str().unwrap_or_default());
        }
        return Ok(0);
    }
    let format = parsed
        .value("format")
        .map_or_else(|| Format::Table("{{.ID}}\t{{.Created}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}".to_owned()), Format::parse);
    print!("{}", template::render(&format, &rows, &[("CreatedBy", "CREATED BY")], true)?);
    Ok(0)
}

pub(super) const INSPECT: Command = Command {
    paths: &["image inspect"],
    about: "Show all facts of images",
    description: "Shows images as JSON, or by a template.",
    usage: "[options] IMAGE [IMAGE...]",
    examples: &["image inspect nginx", "image inspect --format \"{{.Config.Cmd}}\" nginx"],
    flags: &[&[flag("format", 'f', Kind::Value, "FORMAT", "json, or a Go template")]],
    options_first: false,
    arguments: (1, None),
    run: |app, parsed| {
        let engine = app.engine()?;
        let documents = parsed
            .positionals
            .iter()
            .map(|typed| Ok(inspect(&engine, &find::find(&engine, typed)?)?))
            .collect::<Result<Vec<_>, Failure>>()?;
        crate::commands::container::print_documents(&documents, parsed.value("format"))
    },
};

/// The document of an image, as Podman writes it.
pub(crate) fn inspect(engine: &engine::Engine, image: &ImageRecord) -> Result<Value, Failure> {
    let config = engine.store().image_config(image).map_err(|e| Failure::usage(e.to_string()))?;
    let names = |list: &[oci::Reference]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    Ok(json!({
        "Id": image.id.hex(), "Digest": image.digest.to_string(), "RepoTags": names(&image.names), "RepoDigests": names(&image.repo_digests),
        "Parent": "", "Comment": "", "Created": config.created, "Config": config.config, "Version": "", "Author": config.author.unwrap_or_default(),
        "Architecture": config.architecture, "Os": config.os, "Size": image.size, "VirtualSize": image.size,
        "GraphDriver": {"Name": "overlay", "Data": {}},
        "RootFS": {"Type": "layers", "Layers": config.rootfs.diff_ids},
        "Labels": config.config.labels, "Annotations": {}, "ManifestType": oci::image::media_type::OCI_MANIFEST, "User": config.config.user,
        "History": config.history, "NamesHistory": names(&image.names),
    }))
}
