//! Who the program runs as, by the container's own `/etc/passwd` and `/etc/group`.
//!
//! Both files are foreign input: they are opened inside the root, must be regular, and are read up to a bound
//! (threats B03, B04). Digits are always numbers, whatever names a passwd file holds.

use crate::error::{Error, ErrorKind, Result};
use crate::plan::ResolvedUser;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::io::Read;
use std::os::fd::AsFd;

/// No account file of a real image comes near this.
const LIMIT: u64 = 4 << 20;
/// Nor does a number of groups.
const MAX_GROUPS: usize = 65_536;

/// The account files of a root file system.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    passwd: String,
    group: String,
}

/// An entry of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl Accounts {
    /// Reads the account files below a root directory. A missing file is empty.
    pub fn read(root: impl AsFd) -> Result<Self> {
        Ok(Self { passwd: read_file(&root, "etc/passwd")?, group: read_file(&root, "etc/group")? })
    }

    /// Takes their texts.
    pub fn from_texts(passwd: &str, group: &str) -> Self {
        Self { passwd: passwd.to_owned(), group: group.to_owned() }
    }

    /// Resolves `user[:group]`, each a name or a number, and extra groups.
    pub fn resolve(&self, wish: &str, extra_groups: &[String]) -> Result<ResolvedUser> {
        let (user_part, group_part) = match wish.split_once(':') {
            Some((user, group)) if !user.is_empty() && !group.is_empty() => (user, Some(group)),
            Some(_) => return Err(invalid(wish, "user and group on both sides of the colon")),
            None => (wish, None),
        };
        let entry = if user_part.is_empty() { self.by_uid(0) } else { self.find_user(user_part)? };
        let (uid, passwd_gid, home, name) = match &entry {
            Some(entry) => (entry.uid, Some(entry.gid), entry.home.to_owned(), Some(entry.name)),
            None if user_part.is_empty() => (0, None, "/root".to_owned(), Some("root")),
            None => (number(user_part, wish)?, None, "/".to_owned(), None),
        };
        let gid = match group_part {
            Some(group) => self.find_group(group)?,
            None => passwd_gid.unwrap_or(0),
        };
        let mut groups = vec![gid];
        // An explicit group means: this one alone (as `id` shows it in Podman).
        if group_part.is_none()
            && let Some(name) = name
        {
            for line in self.group.lines() {
                let mut fields = line.split(':');
                let (Some(_), Some(_), Some(gid), Some(members)) = (fields.next(), fields.next(), fields.next(), fields.next()) else {
                    continue;
                };
                if members.split(',').any(|member| member == name)
                    && let Ok(gid) = gid.parse()
                    && !groups.contains(&gid)
                    && groups.len() < MAX_GROUPS
                {
                    groups.push(gid);
                }
            }
        }
        for wish in extra_groups.iter().filter(|wish| *wish != "keep-groups") {
            let gid = self.find_group(wish)?;
            if !groups.contains(&gid) {
                groups.push(gid);
            }
        }
        Ok(ResolvedUser { uid, gid, groups, home })
    }

    fn entries(&self) -> impl Iterator<Item = PasswdEntry<'_>> {
        self.passwd.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            Some(PasswdEntry {
                name: fields.first().filter(|name| !name.is_empty())?,
                uid: fields.get(2)?.parse().ok()?,
                gid: fields.get(3)?.parse().ok()?,
                home: fields.get(5).copied().unwrap_or("/"),
            })
        })
    }

    fn by_uid(&self, uid: u32) -> Option<PasswdEntry<'_>> {
        self.entries().find(|entry| entry.uid == uid)
    }

    /// `None` is a number without an entry.
    fn find_user(&self, wish: &str) -> Result<Option<PasswdEntry<'_>>> {
        if is_digits(wish) {
            return Ok(self.by_uid(number(wish, wish)?));
        }
        self.entries()
            .find(|entry| entry.name == wish)
            .map(Some)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, format!("unable to find user {wish}: no matching entries in passwd file")))
    }

    fn find_group(&self, wish: &str) -> Result<u32> {
        if is_digits(wish) {
            return number(wish, wish);
        }
        self.group
            .lines()
            .find_map(|line| {
                let mut fields = line.split(':');
                (fields.next() == Some(wish)).then(|| fields.nth(1)?.parse().ok())?
            })
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, format!("unable to find group {wish}: no matching entries in group file")))
    }

    /// Tells whether a user id has an entry.
    pub fn has_uid(&self, uid: u32) -> bool {
        self.by_uid(uid).is_some()
    }

    /// The text of `/etc/passwd`.
    pub fn passwd(&self) -> &str {
        &self.passwd
    }

    /// The text of `/etc/group`.
    pub fn group(&self) -> &str {
        &self.group
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Ids end below 2³²−1, which means "no change" to the kernel; Linux tools end at 2³¹−1 (containerd CVE-2024-40635).
fn number(text: &str, whole: &str) -> Result<u32> {
    match text.parse::<u32>() {
        Ok(id) if is_digits(text) && id <= i32::MAX as u32 => Ok(id),
        _ => Err(invalid(whole, "a name, or a number up to 2147483647")),
    }
}

fn invalid(wish: &str, allowed: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("invalid user {wish:?}: it is {allowed}"))
}

/// Opens a file inside a root, never outside, and never something that blocks.
pub(crate) fn read_file(root: impl AsFd, path: &str) -> Result<String> {
    let doing = || format!("reading {path:?} of the container");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let fd = match rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(String::new()),
        Err(e) => return Err(Error::io(doing(), e)),
    };
    let stat = rustix::fs::fstat(&fd).map_err(|e| Error::io(doing(), e))?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{}: it is not a regular file", doing())));
    }
    let mut text = Vec::new();
    std::fs::File::from(fd).take(LIMIT + 1).read_to_end(&mut text).map_err(|e| Error::io(doing(), e))?;
    if text.len() as u64 > LIMIT {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{}: it is larger than {LIMIT} bytes", doing())));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/srv:/bin/sh\n1234:x:0:0::/:/bin/sh\nbroken\n";
    const GROUP: &str = "root:x:0:\nwww:x:33:web,other\nwheel:x:10:web\n";

    fn check(wish: &str, expected: Option<(u32, u32, &[u32], &str)>) {
        let got = Accounts::from_texts(PASSWD, GROUP).resolve(wish, &[]);
        match expected {
            Some((uid, gid, groups, home)) => {
                assert_eq!(got.unwrap(), ResolvedUser { uid, gid, groups: groups.to_vec(), home: home.to_owned() }, "{wish}");
            }
            None => assert!(got.is_err(), "{wish}"),
        }
    }

    #[test]
    fn users_resolve_as_podman_resolves_them() {
        check("", Some((0, 0, &[0], "/root")));
        check("root", Some((0, 0, &[0], "/root")));
        check("web", Some((101, 102, &[102, 33, 10], "/srv")));
        check("101", Some((101, 102, &[102, 33, 10], "/srv")));
        check("web:www", Some((101, 33, &[33], "/srv")));
        check("500", Some((500, 0, &[0], "/")));
        check("500:600", Some((500, 600, &[600], "/")));
        check("01", Some((1, 0, &[0], "/")));
    }

    #[test]
    fn digits_are_numbers_and_nothing_is_silently_root() {
        check("1234", Some((1234, 0, &[0], "/")));
        for bad in ["-1", "0x0", "4294967296", "4294967295", "2147483648", "1:", ":1", "nobody", "web:none", " 0", "+1"] {
            check(bad, None);
        }
    }

    #[test]
    fn extra_groups_are_added_once() {
        let accounts = Accounts::from_texts(PASSWD, GROUP);
        let user = accounts.resolve("0", &["www".into(), "33".into(), "7".into()]).unwrap();
        assert_eq!(user.groups, [0, 33, 7]);
    }
}
