//! The caller's sub-ids (`/etc/subuid`, `/etc/subgid`) and the map of the engine namespace made of them.

use crate::error::{Cure, Error, ErrorKind, Result};
use spec::container::IdMap;

/// The maps of the engine namespace: id 0 is the caller, 1 and up are its sub-ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineMaps {
    /// User ids: inside, on the host, how many.
    pub uid: Vec<IdMap>,
    /// Group ids.
    pub gid: Vec<IdMap>,
}

impl EngineMaps {
    /// Number of ids inside.
    pub fn size(maps: &[IdMap]) -> u32 {
        maps.iter().map(|map| map.size).fold(0, u32::saturating_add)
    }
}

/// Reads the sub-ids of the caller.
pub fn engine_maps(uid: u32, gid: u32) -> Result<EngineMaps> {
    let user = user_name(uid);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let build = |own: u32, text: &str, file: &str| -> Result<Vec<IdMap>> {
        let ranges = ranges(text, user.as_deref(), uid);
        if ranges.is_empty() {
            let name = user.clone().unwrap_or_else(|| uid.to_string());
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("making a user namespace: user {name:?} has no range of ids in {file}"),
            )
            .with_cure(Cure::SubIdsMissing { user: name }));
        }
        let mut maps = vec![IdMap { container: 0, host: own, size: 1, host_absolute: true, extend: false }];
        let mut next = 1;
        for (start, size) in ranges {
            maps.push(IdMap { container: next, host: start, size, host_absolute: true, extend: false });
            next = next.saturating_add(size);
        }
        Ok(maps)
    };
    Ok(EngineMaps { uid: build(uid, &read("/etc/subuid"), "/etc/subuid")?, gid: build(gid, &read("/etc/subgid"), "/etc/subgid")? })
}

/// Ranges of one user, by name or number, as `(start, size)` (subuid(5)).
pub fn ranges(text: &str, user: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let number = uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            (Some(owner) == user || owner == number).then_some(())?;
            let (start, size): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            (size > 0 && start.checked_add(size).is_some()).then_some((start, size))
        })
        .collect()
}

/// Name of a user of the host.
pub fn user_name(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse::<u32>().ok()? == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_number() {
        let text = "alice:100000:65536\nbob:1:0\n1000:300000:10\nalice:x:1\nalice:4294967295:2\n";
        assert_eq!(ranges(text, Some("alice"), 1000), [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(ranges(text, Some("bob"), 1001), []);
        assert_eq!(ranges("", None, 0), []);
    }
}
