//! `top`: the processes of a container, described by Podman's words. Everything is read from the host's
//! /proc; nothing is executed in the container.

use super::record::ContainerRecord;
use super::{signal, status};
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use crate::plan::capabilities;
use crate::user::Accounts;
use std::collections::BTreeMap;

/// Descriptors shown when none are given.
pub const DEFAULT_DESCRIPTORS: [&str; 8] = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

/// All descriptors and their headers.
pub const DESCRIPTORS: [(&str, &str); 31] = [
    ("args", "COMMAND"),
    ("capamb", "AMBIENT CAPS"),
    ("capbnd", "BOUNDING CAPS"),
    ("capeff", "EFFECTIVE CAPS"),
    ("capinh", "INHERITED CAPS"),
    ("capprm", "PERMITTED CAPS"),
    ("comm", "COMMAND"),
    ("etime", "ELAPSED"),
    ("group", "GROUP"),
    ("groups", "GROUPS"),
    ("hgroup", "HGROUP"),
    ("hgroups", "HGROUPS"),
    ("hpid", "HPID"),
    ("huser", "HUSER"),
    ("label", "LABEL"),
    ("nice", "NI"),
    ("pcpu", "%CPU"),
    ("pgid", "PGID"),
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("rgroup", "RGROUP"),
    ("rss", "RSS"),
    ("ruser", "RUSER"),
    ("seccomp", "SECCOMP"),
    ("state", "STATE"),
    ("stime", "STIME"),
    ("time", "TIME"),
    ("tty", "TTY"),
    ("user", "USER"),
    ("vsz", "VSZ"),
    ("hppid", "HPPID"),
];

/// A table: headers and rows.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Headers.
    pub headers: Vec<String>,
    /// One row a process.
    pub rows: Vec<Vec<String>>,
}

/// Describes the processes of a container.
pub fn top(engine: &Engine, record: &ContainerRecord, descriptors: &[String]) -> Result<Table> {
    let run = status::look(engine, &record.id)?.run.filter(|run| run.init_pid > 0).ok_or_else(|| {
        Error::new(ErrorKind::WrongState, "top can only be used on running containers: container state improper")
            .with_cure(Cure::StartFirst { container: record.name.to_string() })
    })?;
    let chosen: Vec<(&str, &str)> = if descriptors.is_empty() {
        DEFAULT_DESCRIPTORS.iter().map(|name| lookup(name).expect("the default descriptors are known")).collect()
    } else {
        descriptors.iter().map(|name| lookup(name).ok_or_else(|| unknown(name))).collect::<Result<_>>()?
    };
    // Held so that the pid cannot be reused while we look.
    let _init = signal::open_init(&run);
    let view = View::new(run.init_pid);
    let mut pids = processes(run.init_pid);
    pids.sort_unstable();
    let rows = pids.iter().filter_map(|pid| Process::read(*pid)).map(|p| chosen.iter().map(|(name, _)| view.describe(&p, name)).collect());
    Ok(Table { headers: chosen.iter().map(|(_, header)| (*header).to_owned()).collect(), rows: rows.collect() })
}

fn lookup(name: &str) -> Option<(&'static str, &'static str)> {
    DESCRIPTORS.iter().copied().find(|(known, _)| *known == name)
}

fn unknown(name: &str) -> Error {
    let all: Vec<&str> = DESCRIPTORS.iter().map(|(name, _)| *name).collect();
    Error::new(ErrorKind::InvalidInput, format!("unknown descriptor {name:?}: it is one of {}", all.join(", ")))
}

/// All processes in the pid namespace of a container's first one, those of nested namespaces included when
/// they descend from it.
pub fn processes(init: i32) -> Vec<i32> {
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(init);
    let mut parents = BTreeMap::new();
    let mut found = Vec::new();
    for pid in
        std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
    {
        if let Some(parent) = Process::read(pid).map(|p| p.ppid) {
            parents.insert(pid, parent);
        }
    }
    let host = namespace(1).or_else(|| namespace(std::process::id() as i32));
    for &pid in parents.keys() {
        let inside = own.is_some() && own != host && namespace(pid) == own;
        if inside || pid == init || descends(pid, init, &parents) {
            found.push(pid);
        }
    }
    found
}

fn descends(mut pid: i32, ancestor: i32, parents: &BTreeMap<i32, i32>) -> bool {
    // Bounded, since the table is not a snapshot.
    for _ in 0..256 {
        match parents.get(&pid) {
            Some(&parent) if parent == ancestor => return true,
            Some(&parent) if parent > 1 => pid = parent,
            _ => return false,
        }
    }
    false
}

/// What /proc says of one process.
struct Process {
    pid: i32,
    ppid: i32,
    stat: Vec<String>,
    status: BTreeMap<String, String>,
    comm: String,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (open, close) = (text.find('(')?, text.rfind(')')?);
        let stat: Vec<String> = text[close + 1..].split_ascii_whitespace().map(str::to_owned).collect();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let status = status.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect();
        Some(Self { pid, ppid: stat.get(1)?.parse().ok()?, comm: text[open + 1..close].to_owned(), stat, status })
    }

    /// Field of proc_pid_stat(5), by its number there.
    fn field(&self, number: usize) -> u64 {
        self.stat.get(number - 3).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn ids(&self, key: &str) -> Vec<u32> {
        self.status.get(key).map(|text| text.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()).unwrap_or_default()
    }

    fn command_line(&self) -> String {
        let bytes = std::fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ");
        if text.is_empty() { format!("[{}]", self.comm) } else { text }
    }
}

/// How host ids look from inside.
struct View {
    uid_map: Vec<(u32, u32, u32)>,
    gid_map: Vec<(u32, u32, u32)>,
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
    host_users: BTreeMap<u32, String>,
    host_groups: BTreeMap<u32, String>,
    ticks: u64,
    uptime: f64,
}

impl View {
    fn new(init: i32) -> Self {
        let map = |file: &str| {
            let text = std::fs::read_to_string(format!("/proc/{init}/{file}")).unwrap_or_default();
            text.lines()
                .filter_map(|line| {
                    let n: Vec<u32> = line.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
                    (n.len() == 3).then(|| (n[0], n[1], n[2]))
                })
                .collect()
        };
        let root = rustix::fs::open(
            format!("/proc/{init}/root"),
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        );
        let accounts = root.ok().and_then(|root| Accounts::read(&root).ok()).unwrap_or_default();
        let host = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            uid_map: map("uid_map"),
            gid_map: map("gid_map"),
            users: names(accounts.passwd()),
            groups: names(accounts.group()),
            host_users: names(&host("/etc/passwd")),
            host_groups: names(&host("/etc/group")),
            ticks: rustix::param::clock_ticks_per_second().max(1),
            uptime: host("/proc/uptime").split_ascii_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0.0),
        }
    }

    fn user(&self, host_id: u32) -> String {
        name(&self.users, inside(&self.uid_map, host_id))
    }

    fn group(&self, host_id: u32) -> String {
        name(&self.groups, inside(&self.gid_map, host_id))
    }

    fn describe(&self, p: &Process, descriptor: &str) -> String {
        let id = |key: &str, at: usize| p.ids(key).get(at).copied().unwrap_or(0);
        let last = |key: &str| p.ids(key).last().map_or_else(|| "?".to_owned(), u32::to_string);
        let elapsed = (self.uptime - p.field(22) as f64 / self.ticks as f64).max(0.0);
        let cpu = (p.field(14) + p.field(15)) as f64 / self.ticks as f64;
        match descriptor {
            "args" => p.command_line(),
            "comm" => p.comm.clone(),
            "user" => self.user(id("Uid", 1)),
            "ruser" => self.user(id("Uid", 0)),
            "group" => self.group(id("Gid", 1)),
            "rgroup" => self.group(id("Gid", 0)),
            "groups" => p.ids("Groups").iter().map(|gid| self.group(*gid)).collect::<Vec<_>>().join(","),
            "huser" => name(&self.host_users, id("Uid", 1)),
            "hgroup" => name(&self.host_groups, id("Gid", 1)),
            "hgroups" => p.ids("Groups").iter().map(|gid| name(&self.host_groups, *gid)).collect::<Vec<_>>().join(","),
            "pid" => last("NSpid"),
            "hpid" => p.pid.to_string(),
            "hppid" => p.ppid.to_string(),
            "pgid" => last("NSpgid"),
            "ppid" => Process::read(p.ppid)
                .filter(|_| p.ids("NSpid").last() != Some(&1))
                .map_or_else(|| "0".to_owned(), |parent| parent.ids("NSpid").last().map_or_else(|| "0".to_owned(), u32::to_string)),
            "pcpu" => format!("{:.3}", if elapsed > 0.0 { cpu * 100.0 / elapsed } else { 0.0 }),
            "etime" => duration(elapsed),
            "time" => duration(cpu),
            "stime" => duration(p.field(15) as f64 / self.ticks as f64),
            "tty" => terminal(p.field(7)),
            "nice" => p.stat.get(16).cloned().unwrap_or_default(),
            "state" => p.stat.first().cloned().unwrap_or_default(),
            "rss" => p.status.get("VmRSS").map(|text| text.trim_end_matches(" kB").to_owned()).unwrap_or_else(|| "0".to_owned()),
            "vsz" => p.status.get("VmSize").map(|text| text.trim_end_matches(" kB").to_owned()).unwrap_or_else(|| "0".to_owned()),
            "seccomp" => match p.status.get("Seccomp").map(String::as_str) {
                Some("1") => "strict",
                Some("2") => "filter",
                _ => "disabled",
            }
            .to_owned(),
            "label" => std::fs::read_to_string(format!("/proc/{}/attr/current", p.pid))
                .map(|text| text.trim_matches(['\0', '\n']).to_owned())
                .unwrap_or_default(),
            "capamb" => capability_names(p, "CapAmb"),
            "capbnd" => capability_names(p, "CapBnd"),
            "capeff" => capability_names(p, "CapEff"),
            "capinh" => capability_names(p, "CapInh"),
            "capprm" => capability_names(p, "CapPrm"),
            _ => String::new(),
        }
    }
}

fn capability_names(p: &Process, key: &str) -> String {
    let bits = p.status.get(key).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
    let names: Vec<&str> =
        capabilities::ALL.iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, name)| name.trim_start_matches("CAP_")).collect();
    match names.len() {
        0 => "none".to_owned(),
        n if n == capabilities::ALL.len() => "full".to_owned(),
        _ => names.join(","),
    }
}

/// Maps a host id to the id inside; one outside the map looks like the overflow id.
fn inside(map: &[(u32, u32, u32)], host: u32) -> u32 {
    map.iter()
        .find(|(_, outer, count)| host >= *outer && u64::from(host) < u64::from(*outer) + u64::from(*count))
        .map_or(65_534, |(inner, outer, _)| inner + (host - outer))
}

fn names(accounts: &str) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in accounts.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(_), Some(Ok(id))) = (fields.next(), fields.next(), fields.next().map(str::parse)) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

fn name(names: &BTreeMap<u32, String>, id: u32) -> String {
    names.get(&id).cloned().unwrap_or_else(|| id.to_string())
}

/// As Go prints a duration: `1h2m3.5s`.
fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    let (hours, minutes) = (whole / 3600, whole % 3600 / 60);
    let rest = seconds - (hours * 3600 + minutes * 60) as f64;
    let rest = if rest.fract() < 0.001 { format!("{}s", rest as u64) } else { format!("{rest:.3}s") };
    match (hours, minutes) {
        (0, 0) => rest,
        (0, m) => format!("{m}m{rest}"),
        (h, m) => format!("{h}h{m}m{rest}"),
    }
}

/// Terminal of a process (proc_pid_stat(5), tty_nr).
fn terminal(number: u64) -> String {
    let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xfff00);
    match major {
        0 => "?".to_owned(),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 => format!("tty{minor}"),
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_seen_from_inside() {
        let map = [(0, 1000, 1), (1, 100_000, 65_536)];
        assert_eq!((inside(&map, 1000), inside(&map, 100_032), inside(&map, 0)), (0, 33, 65_534));
    }

    #[test]
    fn durations_and_terminals_read_well() {
        assert_eq!((duration(3.0), duration(62.5), duration(3723.0)), ("3s".into(), "1m2.500s".into(), "1h2m3s".into()));
        assert_eq!((terminal(0), terminal(136 << 8 | 3), terminal(4 << 8 | 1)), ("?".into(), "pts/3".into(), "tty1".into()));
    }
}
