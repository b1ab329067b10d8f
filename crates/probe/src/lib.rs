//! What a program inside a container sees of its isolation: for people as a page, for tests as JSON.

#![forbid(unsafe_code)]

use serde_json::{Value, json};
use std::fs;

/// Prints the page, or with `--json` the facts; `--sleep` stays, `true` does nothing.
pub fn main(args: &[String]) -> u8 {
    match args.first().map(String::as_str) {
        Some("true") => return 0,
        Some("--sleep") => loop {
            std::thread::park();
        },
        Some("--json") => println!("{}", facts()),
        None => print!("{}", page(&facts())),
        Some(other) => {
            eprintln!("hello: {other:?} is not known: it is --json, --sleep or true");
            return 2;
        }
    }
    0
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn facts() -> Value {
    let status = read("/proc/self/status");
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or_default().trim().to_owned();
    let namespaces: serde_json::Map<String, Value> = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]
        .into_iter()
        .map(|kind| {
            (
                kind.to_owned(),
                fs::read_link(format!("/proc/self/ns/{kind}")).map(|link| link.to_string_lossy().into_owned()).unwrap_or_default().into(),
            )
        })
        .collect();
    let list = |dir: &str| -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    };
    let mounts: Vec<Value> = read("/proc/self/mountinfo")
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let left: Vec<&str> = left.split(' ').collect();
            let mut right = right.split(' ');
            Some(json!({"target": left.get(4)?, "options": left.get(5)?, "type": right.next()?, "source": right.next()?, "super": right.next().unwrap_or_default()}))
        })
        .collect();
    let masked: Vec<&str> = [
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/sched_debug",
        "/proc/interrupts",
        "/proc/acpi",
        "/proc/scsi",
        "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]
    .into_iter()
    .filter(|path| match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => !list(path).is_empty(),
        Ok(_) => fs::File::open(path).is_ok_and(|mut file| std::io::Read::read(&mut file, &mut [0]).is_ok_and(|got| got > 0)),
        Err(_) => false,
    })
    .collect();
    // The directory handle itself is one of them while it is read.
    let fds: Vec<String> = list("/proc/self/fd").into_iter().filter(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok()).collect();
    let limit = |resource| {
        let limit = rustix::process::getrlimit(resource);
        json!([limit.current, limit.maximum])
    };
    json!({
        "uid": rustix::process::geteuid().as_raw(), "gid": rustix::process::getegid().as_raw(), "groups": field("Groups"), "uid_map": read("/proc/self/uid_map"), "gid_map": read("/proc/self/gid_map"),
        "pid": std::process::id(), "caps": {"inheritable": field("CapInh"), "permitted": field("CapPrm"), "effective": field("CapEff"), "bounding": field("CapBnd"), "ambient": field("CapAmb")},
        "seccomp": field("Seccomp"), "filters": field("Seccomp_filters"), "no_new_privs": field("NoNewPrivs"), "umask": field("Umask"),
        "namespaces": namespaces, "cgroup": read("/proc/self/cgroup"), "mounts": mounts, "dev": list("/dev"), "readable_masked": masked, "fds": fds,
        "oom_score_adj": read("/proc/self/oom_score_adj").trim(), "nofile": limit(rustix::process::Resource::Nofile), "nproc": limit(rustix::process::Resource::Nproc),
        "env": std::env::vars().collect::<std::collections::BTreeMap<_, _>>(), "cwd": std::env::current_dir().unwrap_or_default(), "hostname": read("/proc/sys/kernel/hostname").trim(),
        "ping_group_range": read("/proc/sys/net/ipv4/ping_group_range").trim(), "tty": rustix::termios::isatty(rustix::stdio::stdin()),
        "syscalls": sys::probe::syscalls().into_iter().map(|(name, outcome)| (name.to_owned(), Value::from(outcome))).collect::<serde_json::Map<_, _>>(),
    })
}

fn page(facts: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let map = text(&facts["uid_map"]);
    let first: Vec<&str> = map.lines().next().unwrap_or_default().split_ascii_whitespace().collect();
    let whole = first == ["0", "0", "4294967295"];
    let outside =
        if whole { "the same as on the host".to_owned() } else { format!("user {} of the host", first.get(1).copied().unwrap_or("?")) };
    let count = |hex: &Value| u64::from_str_radix(&text(hex), 16).map_or(0, u64::count_ones);
    let seccomp = match text(&facts["seccomp"]).as_str() {
        "2" => "a filter decides over every system call",
        _ => "no filter",
    };
    let namespaces: Vec<String> = facts["namespaces"].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
    let refused = facts["syscalls"]
        .as_object()
        .map(|calls| {
            calls.iter().filter(|(_, outcome)| outcome.as_str() != Some("allowed")).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        })
        .unwrap_or_default();
    let maps: String =
        map.lines().map(|line| format!("                {}\n", line.split_ascii_whitespace().collect::<Vec<_>>().join("  "))).collect();
    format!(
        "Hello from a container made by coracle.\n\n\
         user            {} here, which is {outside}\n\
         process         {} (the first process here has 1)\n\
         id map          inside, outside, how many:\n{maps}\
         capabilities    {} of 41 in force, {} at most\n\
         seccomp         {seccomp}\n\
         new privileges  {}\n\
         namespaces      {}\n\
         host name       {}\n\
         cgroup          {}\n\
         root            {} mounts, {} devices\n\
         refused         {}\n\n\
         Everything you see of this ends with the container. No process of coracle stays behind.\n",
        facts["uid"],
        facts["pid"],
        count(&facts["caps"]["effective"]),
        count(&facts["caps"]["bounding"]),
        if facts["no_new_privs"] == "1" { "cannot be gained" } else { "set-user-id programs work" },
        namespaces.join(", "),
        text(&facts["hostname"]),
        text(&facts["cgroup"]).lines().next_back().unwrap_or_default(),
        facts["mounts"].as_array().map_or(0, Vec::len),
        facts["dev"].as_array().map_or(0, Vec::len),
        refused.join(", "),
    )
}
