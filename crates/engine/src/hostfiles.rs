//! Files of ours that appear in a container: `/etc/hosts`, `/etc/resolv.conf`, `/etc/hostname`,
//! `/run/.containerenv`, an extra line of `/etc/passwd`. They live in the run directory.

use crate::container::ContainerRecord;
use crate::error::{Error, ErrorKind, Result};
use crate::json::{self, Durability};
use crate::open::Engine;
use crate::plan::{Facts, HostFile};
use crate::user::Accounts;
use spec::container::NamespaceMode;
use spec::network::NetworkMode;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Writes the files and returns where they go.
pub fn write(engine: &Engine, record: &ContainerRecord, root: BorrowedFd<'_>, facts: &Facts) -> Result<Vec<HostFile>> {
    let dir = engine.paths.container_run(&record.id);
    let spec = &record.spec;
    let mut files = Vec::new();
    check_words(record)?;
    if let NetworkMode::Container(typed) = &spec.network.mode {
        // The other container's files are shared with its network.
        let other = crate::container::find::find(engine, typed)?;
        for (name, target) in [("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")] {
            let path = engine.paths.container_run(&other.id).join(name);
            if path.exists() {
                files.push(HostFile {
                    source: path.to_string_lossy().into_owned(),
                    target: target.to_owned(),
                    read_only: false,
                    program: false,
                });
            }
        }
    } else {
        if !spec.network.no_hosts {
            files.push(one(&dir, "hosts", "/etc/hosts", &crate::net::hosts_text(record, facts)?)?);
        }
        if !spec.network.dns.iter().any(|dns| dns == "none") {
            files.push(one(&dir, "resolv.conf", "/etc/resolv.conf", &crate::net::resolv_text(engine, record)?)?);
        }
    }
    if !spec.network.no_hostname && !matches!(spec.uts_namespace, NamespaceMode::Host) {
        files.push(one(&dir, "hostname", "/etc/hostname", &format!("{}\n", facts.hostname))?);
    }
    files.push(one(&dir, "containerenv", "/run/.containerenv", &container_env(engine, record))?);
    if let Some(text) = passwd_with_user(record, root, facts)? {
        files.push(one(&dir, "passwd", "/etc/passwd", &text)?);
    }
    if let Some(zone) = &spec.process.timezone {
        let source = if zone == "local" { "/etc/localtime".to_owned() } else { format!("/usr/share/zoneinfo/{zone}") };
        files.push(HostFile { source, target: "/etc/localtime".to_owned(), read_only: true, program: false });
    }
    if spec.init {
        let program = match &spec.init_path {
            Some(path) => path.clone(),
            None => {
                std::fs::read_link("/proc/self/exe").map_err(|e| Error::io("finding our own program", e))?.to_string_lossy().into_owned()
            }
        };
        files.push(HostFile { source: program, target: "/run/podman-init".to_owned(), read_only: true, program: true });
    }
    Ok(files)
}

fn one(dir: &Path, name: &str, target: &str, text: &str) -> Result<HostFile> {
    let path = dir.join(name);
    json::save_bytes(&path, text.as_bytes(), Durability::Fleeting)?;
    readable_by_all(&path)?;
    Ok(HostFile { source: path.to_string_lossy().into_owned(), target: target.to_owned(), read_only: false, program: false })
}

/// Line breaks in names would write lines of their own into these files (threat E10).
fn check_words(record: &ContainerRecord) -> Result<()> {
    let spec = &record.spec;
    let words = spec.network.add_hosts.iter().chain(&spec.network.dns).chain(&spec.network.dns_search).chain(&spec.network.dns_options);
    for word in words.chain(&spec.hostname) {
        if word.chars().any(char::is_control) {
            return Err(Error::new(ErrorKind::InvalidInput, format!("invalid host or DNS name {word:?}: it has control characters")));
        }
    }
    Ok(())
}

fn container_env(engine: &Engine, record: &ContainerRecord) -> String {
    let image = record.image.as_ref();
    format!(
        "engine=\"coracle-{}\"\nname=\"{}\"\nid=\"{}\"\nimage=\"{}\"\nimageid=\"{}\"\nrootless={}\n",
        env!("CARGO_PKG_VERSION"),
        record.name,
        record.id,
        image.map(|image| image.name.as_str()).unwrap_or_default(),
        image.map(|image| image.id.hex()).unwrap_or_default(),
        u8::from(engine.is_rootless()),
    )
}

/// A user without an entry gets one, so that programs that ask for their name find it (`--passwd`).
fn passwd_with_user(record: &ContainerRecord, root: BorrowedFd<'_>, facts: &Facts) -> Result<Option<String>> {
    if record.spec.passwd == Some(false) || record.spec.rootfs {
        return Ok(None);
    }
    let accounts = Accounts::read(root)?;
    if facts.user.uid == 0 || accounts.has_uid(facts.user.uid) || accounts.passwd().is_empty() {
        return Ok(None);
    }
    let entry = match &record.spec.passwd_entry {
        Some(template) => template
            .replace("$USERNAME", &facts.user.uid.to_string())
            .replace("$UID", &facts.user.uid.to_string())
            .replace("$GID", &facts.user.gid.to_string())
            .replace("$NAME", &facts.user.uid.to_string())
            .replace("$HOME", &facts.user.home),
        None => format!("{0}:*:{0}:{1}:container user:{2}:/bin/sh", facts.user.uid, facts.user.gid, home_of(record, facts)),
    };
    if entry.chars().any(char::is_control) {
        return Err(Error::new(ErrorKind::InvalidInput, "the passwd entry has control characters"));
    }
    let mut text = accounts.passwd().to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&entry);
    text.push('\n');
    Ok(Some(text))
}

fn home_of(record: &ContainerRecord, facts: &Facts) -> String {
    let workdir = record.spec.process.workdir.as_ref().filter(|dir| !dir.contains([':', '\n']));
    workdir.cloned().unwrap_or_else(|| facts.user.home.clone())
}

/// Ours are made 0600; in the container everybody reads them.
fn readable_by_all(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
        .map_err(|e| Error::io(format!("writing {:?}", path.display()), e))
}
