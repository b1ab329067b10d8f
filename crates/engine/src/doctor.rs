//! `doctor`: every prerequisite looked at, and what to type where one is missing.
//!
//! Checks try the thing itself where that is cheap (a user namespace is made, an overlay is mounted in it);
//! only where a try would leave traces is a file asked.

use crate::error::{Cure, Error};
use crate::open::Engine;
use crate::{namespace, subids};
use serde::Serialize;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Good,
    /// Something works less well, or not at all for a few uses.
    Limited,
    /// Containers cannot run.
    Bad,
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to type, one command a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<String>,
}

/// Looks at everything.
pub fn examine(engine: &Engine) -> Vec<Finding> {
    let mut findings = vec![kernel()];
    if engine.is_rootless() {
        findings.extend([user_namespaces(), sub_ids(engine), helper("newuidmap"), helper("newgidmap"), enter(engine)]);
        findings.push(runtime_dir());
    }
    findings.push(overlay(engine));
    findings.push(network(engine));
    findings.push(tun(engine));
    findings.push(ports());
    findings.push(cgroups(engine));
    findings.push(security());
    findings.push(space(engine));
    findings
}

fn finding(check: &str, verdict: Verdict, seen: impl Into<String>, fix: &[&str]) -> Finding {
    Finding { check: check.to_owned(), verdict, seen: seen.into(), fix: fix.iter().map(|line| (*line).to_owned()).collect() }
}

fn kernel() -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match version {
        v if v >= (5, 12) => finding("kernel", Verdict::Good, format!("Linux {release}"), &[]),
        v if v >= (5, 11) => {
            finding("kernel", Verdict::Limited, format!("Linux {release}: read-only binds are not recursive before 5.12"), &[])
        }
        _ => finding(
            "kernel",
            Verdict::Bad,
            format!("Linux {release}: 5.11 or newer is needed for overlay without root"),
            &["sudo apt full-upgrade"],
        ),
    }
}

fn user_namespaces() -> Finding {
    let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    if read("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return finding(
            "user namespaces",
            Verdict::Bad,
            "switched off by kernel.unprivileged_userns_clone = 0",
            &["echo kernel.unprivileged_userns_clone=1 | sudo tee /etc/sysctl.d/90-userns.conf && sudo sysctl --system"],
        );
    }
    if read("/proc/sys/user/max_user_namespaces").as_deref() == Some("0") {
        return finding(
            "user namespaces",
            Verdict::Bad,
            "none allowed by user.max_user_namespaces = 0",
            &["echo user.max_user_namespaces=28633 | sudo tee /etc/sysctl.d/90-userns.conf && sudo sysctl --system"],
        );
    }
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/usr/local/bin/coracle"));
        let profile = format!(
            "printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile coracle {} flags=(unconfined) {{\\n  userns,\\n}}\\n' | sudo tee \
             /etc/apparmor.d/coracle && sudo apparmor_parser -r /etc/apparmor.d/coracle",
            program.display()
        );
        if !Path::new("/etc/apparmor.d/coracle").exists() {
            return finding(
                "user namespaces",
                Verdict::Bad,
                "restricted by AppArmor (kernel.apparmor_restrict_unprivileged_userns = 1)",
                &[&profile],
            );
        }
    }
    finding("user namespaces", Verdict::Good, "allowed for ordinary users", &[])
}

fn sub_ids(engine: &Engine) -> Finding {
    match subids::engine_maps(engine.uid, engine.gid) {
        Ok(maps) => {
            let size = subids::EngineMaps::size(&maps.uid).min(subids::EngineMaps::size(&maps.gid)) - 1;
            if size < 65_536 {
                finding("sub-ids", Verdict::Limited, format!("only {size}: images with higher ids cannot be unpacked"), &[])
            } else {
                finding("sub-ids", Verdict::Good, format!("{size} ids in /etc/subuid and /etc/subgid"), &[])
            }
        }
        Err(error) => {
            let user = match error.cure() {
                Some(Cure::SubIdsMissing { user }) => user.clone(),
                _ => engine.uid.to_string(),
            };
            let fix = format!("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}");
            finding("sub-ids", Verdict::Bad, error.chain(), &[&fix])
        }
    }
}

fn helper(program: &str) -> Finding {
    let Some(path) = find_program(program) else {
        return finding(program, Verdict::Bad, "not installed", &["sudo apt install uidmap"]);
    };
    let powerful = std::fs::metadata(&path).is_ok_and(|meta| meta.uid() == 0 && meta.permissions().mode() & 0o4000 != 0)
        || rustix::fs::getxattr(&path, "security.capability", &mut [0u8; 64][..]).is_ok();
    if powerful {
        finding(program, Verdict::Good, path.display().to_string(), &[])
    } else {
        let fix = format!("sudo chmod u+s {}", path.display());
        finding(program, Verdict::Bad, format!("{} has neither its set-user-id bit nor a file capability", path.display()), &[&fix])
    }
}

fn enter(engine: &Engine) -> Finding {
    match namespace::inside(engine, || Ok(())) {
        Ok(()) => finding("engine namespace", Verdict::Good, "can be entered", &[]),
        Err(error) => finding("engine namespace", Verdict::Bad, error.chain(), &[]),
    }
}

fn overlay(engine: &Engine) -> Finding {
    let place = engine.paths.graph_root.join("staging");
    let tried = namespace::inside(engine, || {
        crate::roots::try_overlay(&place).map_err(|e| Error::io(format!("mounting an overlay in {:?}", place.display()), e))
    });
    match tried {
        Ok(()) => finding("overlay", Verdict::Good, format!("native, on {}", engine.paths.graph_root.display()), &[]),
        Err(error) => finding(
            "overlay",
            Verdict::Bad,
            format!("{}: the file system must have extended attributes and d_type", error.chain()),
            &["coracle --root DIR info   # with DIR on ext4, xfs, btrfs or tmpfs"],
        ),
    }
}

fn network(engine: &Engine) -> Finding {
    let found: Vec<&str> = ["pasta", "slirp4netns"].into_iter().filter(|name| find_program(name).is_some()).collect();
    match found.first() {
        Some(name) => finding("network helper", Verdict::Good, (*name).to_owned(), &[]),
        None if engine.is_rootless() => finding(
            "network helper",
            Verdict::Limited,
            "neither pasta nor slirp4netns: only --network none and host work",
            &["sudo apt install passt"],
        ),
        None => finding("network helper", Verdict::Limited, "pasta is not installed", &["apt install passt"]),
    }
}

fn tun(engine: &Engine) -> Finding {
    match rustix::fs::open("/dev/net/tun", rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty()) {
        Ok(_) => finding("/dev/net/tun", Verdict::Good, "can be opened", &[]),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NODEV) => {
            finding("/dev/net/tun", Verdict::Limited, "missing: pasta cannot work", &["sudo modprobe tun"])
        }
        Err(e) if engine.is_rootless() => finding(
            "/dev/net/tun",
            Verdict::Limited,
            format!("cannot be opened ({e}): pasta cannot work"),
            &["sudo chmod 666 /dev/net/tun"],
        ),
        Err(e) => finding("/dev/net/tun", Verdict::Limited, format!("cannot be opened ({e})"), &[]),
    }
}

fn ports() -> Finding {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok().and_then(|t| t.trim().parse::<u32>().ok());
    match first {
        Some(first) if first > 80 => finding(
            "low ports",
            Verdict::Limited,
            format!("ordinary users may listen on ports from {first} on"),
            &[
                "echo net.ipv4.ip_unprivileged_port_start=80 | sudo tee /etc/sysctl.d/90-ports.conf && sudo sysctl --system   # to allow port 80 and up",
            ],
        ),
        Some(first) => finding("low ports", Verdict::Good, format!("ordinary users may listen on ports from {first} on"), &[]),
        None => finding("low ports", Verdict::Good, "no limit known", &[]),
    }
}

fn cgroups(engine: &Engine) -> Finding {
    let seen = crate::cgroup::describe(engine);
    if seen.controllers.is_empty() {
        let fix: &[&str] = if seen.is_v2 && engine.is_rootless() {
            &[
                "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload",
            ]
        } else if !seen.is_v2 {
            &["add systemd.unified_cgroup_hierarchy=1 to the kernel command line and reboot"]
        } else {
            &[]
        };
        return finding("limits (cgroup v2)", Verdict::Limited, format!("{}: --memory, --cpus and the like are refused", seen.text), fix);
    }
    finding("limits (cgroup v2)", Verdict::Good, format!("{}: {}", seen.text, seen.controllers.join(" ")), &[])
}

fn security() -> Finding {
    let mut seen = Vec::new();
    if Path::new("/sys/fs/selinux/enforce").exists() {
        seen.push("SELinux");
    }
    if std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.trim() == "Y") {
        seen.push("AppArmor");
    }
    let text = if seen.is_empty() { "none: capabilities, seccomp and namespaces confine".to_owned() } else { seen.join(", ") };
    finding("security modules", Verdict::Good, text, &[])
}

fn runtime_dir() -> Finding {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if Path::new(&dir).is_dir() => finding("XDG_RUNTIME_DIR", Verdict::Good, Path::new(&dir).display().to_string(), &[]),
        Some(dir) => {
            finding("XDG_RUNTIME_DIR", Verdict::Limited, format!("{:?} is no directory; /tmp is used", dir), &["loginctl enable-linger"])
        }
        None => finding(
            "XDG_RUNTIME_DIR",
            Verdict::Limited,
            "not set (as after su or sudo); another directory is used",
            &["export XDG_RUNTIME_DIR=/run/user/$(id -u)   # after loginctl enable-linger"],
        ),
    }
}

fn space(engine: &Engine) -> Finding {
    match rustix::fs::statvfs(&engine.paths.graph_root) {
        Ok(stat) => {
            let free = stat.f_bavail * stat.f_frsize;
            let text = format!("{} MiB free in {}", free >> 20, engine.paths.graph_root.display());
            if free < 256 << 20 {
                finding("disk space", Verdict::Limited, text, &["coracle system prune"])
            } else {
                finding("disk space", Verdict::Good, text, &[])
            }
        }
        Err(e) => finding("disk space", Verdict::Bad, format!("{}: {e}", engine.paths.graph_root.display()), &[]),
    }
}

/// Finds a program in PATH; relative entries do not count.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .chain(["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
}
