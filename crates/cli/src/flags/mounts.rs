//! Mounts, volumes, devices.

use crate::args::{Flag, Kind, Parsed, flag};
use crate::failure::Failure;
use spec::ContainerSpec;
use spec::mount::{AnonymousVolumes, MountSource, MountSpec};

pub(super) const FLAGS: &[Flag] = &[
    flag("volume", 'v', Kind::List, "[SOURCE:]TARGET[:OPTIONS]", "Mount a directory or a volume"),
    flag("mount", ' ', Kind::List, "type=TYPE,...", "Mount something, in long form"),
    flag("tmpfs", ' ', Kind::List, "TARGET[:OPTIONS]", "Mount a tmpfs"),
    flag("volumes-from", ' ', Kind::List, "CONTAINER[:OPTIONS]", "Take over the mounts of another container"),
    flag("image-volume", ' ', Kind::Value, "KIND", "Make the image's volumes anonymous, tmpfs, or ignore them"),
    flag("shm-size", ' ', Kind::Value, "SIZE", "Size of /dev/shm"),
    flag("device", ' ', Kind::List, "HOST[:CONTAINER][:rwm]", "Add a device"),
];

pub(super) fn apply(parsed: &Parsed, spec: &mut ContainerSpec) -> Result<(), Failure> {
    for text in parsed.all("volume") {
        spec.mounts.push(text.parse()?);
    }
    for text in parsed.all("mount") {
        let mount = spec::mount::parse_mount(text)?;
        match &mount.source {
            MountSource::Glob(pattern) => spec.mounts.extend(expand_glob(pattern, &mount)?),
            _ => spec.mounts.push(mount),
        }
    }
    for mount in &mut spec.mounts {
        if !mount.options.volume_options.is_empty() {
            return Err(Failure::usage("volume-opt and volume-label are not supported by coracle yet"));
        }
        if let MountSource::Bind { path, .. } = &mut mount.source {
            *path = absolute(path)?;
        }
    }
    spec.tmpfs = parsed.all_parsed("tmpfs")?;
    spec.volumes_from = parsed.all_parsed("volumes-from")?;
    spec.image_volumes = match parsed.value("image-volume") {
        None | Some("anonymous" | "bind") => AnonymousVolumes::Anonymous,
        Some("tmpfs") => AnonymousVolumes::Tmpfs,
        Some("ignore") => AnonymousVolumes::Ignore,
        Some(other) => return Err(Failure::usage(format!("invalid image volume kind {other:?}: it is anonymous, tmpfs or ignore"))),
    };
    spec.shm_size = parsed.value("shm-size").map(|text| spec::quantity::parse_size("shm size", text)).transpose()?;
    spec.devices = parsed.all_parsed("device")?;
    Ok(())
}

fn absolute(path: &str) -> Result<String, Failure> {
    let expanded = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{}{rest}", std::env::var("HOME").unwrap_or_default()),
        _ => path.to_owned(),
    };
    std::path::absolute(&expanded)
        .map(|path| path.to_string_lossy().into_owned())
        .map_err(|e| Failure::usage(format!("resolving {path:?}: {e}")))
}

/// `*` in the last part of a path stands for all that fits.
fn expand_glob(pattern: &str, mount: &MountSpec) -> Result<Vec<MountSpec>, Failure> {
    let (dir, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    let (before, after) = name.split_once('*').unwrap_or((name, ""));
    let entries =
        std::fs::read_dir(if dir.is_empty() { "/" } else { dir }).map_err(|e| Failure::usage(format!("expanding {pattern:?}: {e}")))?;
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|file| {
            file.len() >= before.len() + after.len()
                && file.starts_with(before)
                && file.ends_with(after)
                && (name.contains('*') || file == name)
        })
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(Failure::usage(format!("no file paths matching glob {pattern:?}")));
    }
    Ok(found
        .into_iter()
        .map(|file| MountSpec {
            source: MountSource::Bind { path: format!("{dir}/{file}"), create: false },
            target: format!("{}/{file}", mount.target.trim_end_matches('/')),
            options: mount.options.clone(),
        })
        .collect())
}
