//! User namespaces of single containers, nested in the engine's (`--userns`, `--uidmap`, `--gidmap`).
//!
//! All outer ids here are ids of the engine namespace. Rootless that has 0 for the caller and 1 and up for its
//! sub-ids; as root it is the host.

use crate::container::record::{ContainerRecord, IdMaps, ImageUse};
use crate::error::{Error, ErrorKind, Result};
use crate::open::Engine;
use crate::subids::{self, EngineMaps};
use spec::ContainerSpec;
use spec::container::IdMap;
use spec::identity::UserNamespaceMode;

/// Size of a range given by `--userns=auto` when neither user nor image asks for more.
const AUTO_SIZE: u32 = 1024;
/// Where root's automatic ranges begin when no user `containers` has sub-ids.
const AUTO_ROOT: (u32, u32) = (2_147_483_648, 1 << 30);

/// Returns the maps of a container's own user namespace; `None` when it shares the engine's.
pub fn maps(engine: &Engine, spec: &ContainerSpec, _image: Option<&ImageUse>) -> Result<Option<IdMaps>> {
    let wish = &spec.user_namespace;
    let explicit = !wish.uid_map.is_empty() || !wish.gid_map.is_empty() || wish.subuid_name.is_some() || wish.subgid_name.is_some();
    let rootless_only = |mode: &str| {
        if engine.is_rootless() {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::InvalidInput, format!("{mode} is only supported in rootless mode")))
        }
    };
    match &wish.mode {
        UserNamespaceMode::Default | UserNamespaceMode::Private if explicit => self::explicit(engine, spec).map(Some),
        mode if explicit => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("--uidmap, --gidmap, --subuidname and --subgidname cannot be used with --userns={mode:?}").to_lowercase(),
        )),
        UserNamespaceMode::Default | UserNamespaceMode::Host | UserNamespaceMode::Private => Ok(None),
        UserNamespaceMode::KeepId { uid, gid, size } => {
            rootless_only("keep-id")?;
            let engine_maps = subids::engine_maps(engine.uid, engine.gid)?;
            let keep = |id: u32, maps: &[IdMap]| keep_id(id, size.unwrap_or_else(|| EngineMaps::size(maps)));
            Ok(Some(IdMaps {
                uid: keep(uid.unwrap_or(engine.uid), &engine_maps.uid)?,
                gid: keep(gid.unwrap_or(engine.gid), &engine_maps.gid)?,
            }))
        }
        UserNamespaceMode::NoMap => {
            rootless_only("nomap")?;
            let engine_maps = subids::engine_maps(engine.uid, engine.gid)?;
            let all = |maps: &[IdMap]| vec![range(0, 1, EngineMaps::size(maps) - 1)];
            Ok(Some(IdMaps { uid: all(&engine_maps.uid), gid: all(&engine_maps.gid) }))
        }
        UserNamespaceMode::Auto { size, uid_map, gid_map } => automatic(engine, size.unwrap_or(AUTO_SIZE), uid_map, gid_map).map(Some),
        UserNamespaceMode::Container(other) => Ok(crate::container::find::find(engine, other)?.id_maps),
        UserNamespaceMode::Path(_) => Ok(None),
    }
}

/// The caller is `id` inside: ids below come from the first sub-ids, ids above follow.
fn keep_id(id: u32, total: u32) -> Result<Vec<IdMap>> {
    if id >= total {
        // Fewer sub-ids than the id: everything fits below it.
        return Ok(vec![range(0, 1, total - 1), range(id, 0, 1)]);
    }
    let mut maps = Vec::new();
    if id > 0 {
        maps.push(range(0, 1, id));
    }
    maps.push(range(id, 0, 1));
    if total > id + 1 {
        maps.push(range(id + 1, id + 1, total - id - 1));
    }
    Ok(maps)
}

fn range(container: u32, host: u32, size: u32) -> IdMap {
    IdMap { container, host, size, host_absolute: false, extend: false }
}

fn explicit(engine: &Engine, spec: &ContainerSpec) -> Result<IdMaps> {
    let wish = &spec.user_namespace;
    let named = |name: &Option<String>, file: &str| -> Result<Option<Vec<IdMap>>> {
        let Some(name) = name else { return Ok(None) };
        if engine.is_rootless() {
            return Err(Error::new(ErrorKind::Unsupported, "--subuidname and --subgidname need root: a user has only its own sub-ids"));
        }
        let text = std::fs::read_to_string(file).map_err(|e| Error::io(format!("reading {file:?}"), e))?;
        let ranges = subids::ranges(&text, Some(name), u32::MAX);
        if ranges.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, format!("no subuid ranges found for user {name:?} in {file}")));
        }
        let mut next = 0;
        Ok(Some(
            ranges
                .into_iter()
                .map(|(start, size)| {
                    let map = range(next, start, size);
                    next += size;
                    map
                })
                .collect(),
        ))
    };
    let named_uid = named(&wish.subuid_name, "/etc/subuid")?;
    let named_gid = named(&wish.subgid_name, "/etc/subgid")?;
    let engine_maps = if engine.is_rootless() { Some(subids::engine_maps(engine.uid, engine.gid)?) } else { None };
    let inner = |maps: &[IdMap], own: Option<&[IdMap]>| maps.iter().map(|map| to_engine_ids(map, own)).collect::<Result<Vec<_>>>();
    let uid = match named_uid.clone() {
        Some(maps) => maps,
        None => inner(&wish.uid_map, engine_maps.as_ref().map(|m| m.uid.as_slice()))?,
    };
    let gid = match named_gid.clone() {
        Some(maps) => maps,
        None => inner(&wish.gid_map, engine_maps.as_ref().map(|m| m.gid.as_slice()))?,
    };
    // One map alone serves for both.
    let (uid, gid) = match (uid.is_empty(), gid.is_empty()) {
        (true, false) => (gid.clone(), gid),
        (false, true) => (uid.clone(), uid),
        _ => (uid, gid),
    };
    check_overlap(&uid, "--uidmap")?;
    check_overlap(&gid, "--gidmap")?;
    Ok(IdMaps { uid, gid })
}

/// `@` host ids are looked up in the engine's own map.
fn to_engine_ids(map: &IdMap, own: Option<&[IdMap]>) -> Result<IdMap> {
    let Some(own) = own.filter(|_| map.host_absolute) else { return Ok(range(map.container, map.host, map.size)) };
    own.iter()
        .find(|o| map.host >= o.host && u64::from(map.host) + u64::from(map.size) <= u64::from(o.host) + u64::from(o.size))
        .map(|o| range(map.container, o.container + (map.host - o.host), map.size))
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("host ids {} to {} are not yours: see /etc/subuid", map.host, map.host + (map.size - 1)),
            )
        })
}

fn check_overlap(maps: &[IdMap], flag: &str) -> Result<()> {
    let overlaps =
        |a: (u32, u32), b: (u32, u32)| u64::from(a.0) < u64::from(b.0) + u64::from(b.1) && u64::from(b.0) < u64::from(a.0) + u64::from(a.1);
    for (at, a) in maps.iter().enumerate() {
        for b in &maps[..at] {
            if overlaps((a.container, a.size), (b.container, b.size)) || overlaps((a.host, a.size), (b.host, b.size)) {
                return Err(Error::new(ErrorKind::InvalidInput, format!("{flag}: the ranges overlap")));
            }
        }
    }
    Ok(())
}

/// Finds a range no other container uses. One at a time chooses; the choice becomes visible with the record.
fn automatic(engine: &Engine, size: u32, extra_uid: &[IdMap], extra_gid: &[IdMap]) -> Result<IdMaps> {
    let (first, total) = if engine.is_rootless() {
        let own = subids::engine_maps(engine.uid, engine.gid)?;
        (1, EngineMaps::size(&own.uid).min(EngineMaps::size(&own.gid)) - 1)
    } else {
        let text = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
        subids::ranges(&text, Some("containers"), u32::MAX).first().copied().unwrap_or(AUTO_ROOT)
    };
    let mut used: Vec<(u32, u32)> = crate::container::find::all(engine)?.iter().flat_map(auto_ranges).collect();
    used.sort_unstable();
    let mut start = first;
    for (from, count) in used {
        if u64::from(start) + u64::from(size) <= u64::from(from) {
            break;
        }
        start = start.max(from.saturating_add(count));
    }
    if u64::from(start) + u64::from(size) > u64::from(first) + u64::from(total) {
        return Err(Error::new(
            ErrorKind::Unavailable,
            format!("finding {size} free ids for --userns=auto: {total} ids are there, and other containers use them"),
        ));
    }
    let with = |extra: &[IdMap]| {
        let mut maps = vec![range(0, start, size)];
        for map in extra {
            // An explicit range takes its place out of the automatic one.
            maps = maps.iter().flat_map(|m| cut(m, map)).collect();
            maps.push(range(map.container, map.host, map.size));
        }
        maps
    };
    Ok(IdMaps { uid: with(extra_uid), gid: with(extra_gid) })
}

fn auto_ranges(record: &ContainerRecord) -> Vec<(u32, u32)> {
    match (&record.spec.user_namespace.mode, &record.id_maps) {
        (UserNamespaceMode::Auto { .. }, Some(maps)) => maps.uid.iter().chain(&maps.gid).map(|m| (m.host, m.size)).collect(),
        _ => Vec::new(),
    }
}

fn cut(map: &IdMap, hole: &IdMap) -> Vec<IdMap> {
    let (from, to) = (u64::from(map.container), u64::from(map.container) + u64::from(map.size));
    let (hole_from, hole_to) = (u64::from(hole.container), u64::from(hole.container) + u64::from(hole.size));
    let mut parts = Vec::new();
    if hole_from > from {
        let end = hole_from.min(to);
        parts.push(range(map.container, map.host, (end - from) as u32));
    }
    if hole_to < to {
        let begin = hole_to.max(from);
        parts.push(range(begin as u32, map.host + (begin - from) as u32, (to - begin) as u32));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triples(maps: &[IdMap]) -> Vec<(u32, u32, u32)> {
        maps.iter().map(|m| (m.container, m.host, m.size)).collect()
    }

    #[test]
    fn keep_id_swaps_the_caller_in() {
        assert_eq!(triples(&keep_id(1000, 65_537).unwrap()), [(0, 1, 1000), (1000, 0, 1), (1001, 1001, 64_536)]);
        assert_eq!(triples(&keep_id(0, 65_537).unwrap()), [(0, 0, 1), (1, 1, 65_536)]);
        assert_eq!(triples(&keep_id(200_000, 65_537).unwrap()), [(0, 1, 65_536), (200_000, 0, 1)]);
    }

    #[test]
    fn cutting_leaves_both_ends() {
        assert_eq!(triples(&cut(&range(0, 100, 10), &range(3, 0, 2))), [(0, 100, 3), (5, 105, 5)]);
        assert_eq!(triples(&cut(&range(0, 100, 10), &range(0, 0, 10))), []);
        assert_eq!(triples(&cut(&range(0, 100, 10), &range(20, 0, 1))), [(0, 100, 10)]);
    }

    #[test]
    fn overlapping_maps_are_refused() {
        assert!(check_overlap(&[range(0, 0, 10), range(10, 10, 10)], "--uidmap").is_ok());
        assert!(check_overlap(&[range(0, 0, 10), range(9, 20, 1)], "--uidmap").is_err());
        assert!(check_overlap(&[range(0, 0, 10), range(20, 9, 1)], "--uidmap").is_err());
    }
}
