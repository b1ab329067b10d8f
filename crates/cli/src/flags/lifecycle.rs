//! What happens when the program ends, and where its output goes.

use crate::args::{Flag, Kind, Parsed, flag};
use crate::failure::Failure;
use spec::ContainerSpec;
use spec::container::{CgroupsMode, SystemdMode};
use spec::restart::RestartPolicy;

pub(super) const FLAGS: &[Flag] = &[
    flag("rm", ' ', Kind::Switch, "", "Remove the container when it ends"),
    flag("rmi", ' ', Kind::Switch, "", "Remove the image too when the container ends"),
    flag("replace", ' ', Kind::Switch, "", "Remove a container of the same name first"),
    flag("restart", ' ', Kind::Value, "POLICY", "Start it again when it ends: no, on-failure[:N], always, unless-stopped"),
    flag("stop-signal", ' ', Kind::Value, "SIGNAL", "Signal that stops the container"),
    flag("stop-timeout", ' ', Kind::Value, "SECONDS", "Seconds between the stop signal and KILL"),
    flag("timeout", ' ', Kind::Value, "SECONDS", "Kill the container after so many seconds"),
    flag("init", ' ', Kind::Switch, "", "Put an init process in front of the program"),
    flag("init-path", ' ', Kind::Value, "FILE", "Init program on the host"),
    flag("log-driver", ' ', Kind::Value, "DRIVER", "Keep output by k8s-file, json-file, journald, passthrough, none"),
    flag("log-opt", ' ', Kind::List, "KEY=VALUE", "Option of the log: max-size, max-file, path, tag"),
    flag("cidfile", ' ', Kind::Value, "FILE", "Write the id of the container to a file"),
    flag("pidfile", ' ', Kind::Value, "FILE", "Write the process id of the program to a file"),
    flag("conmon-pidfile", ' ', Kind::Value, "FILE", "Write the process id of the monitor to a file"),
    flag("cgroups", ' ', Kind::Value, "MODE", "Cgroup of its own: enabled or disabled"),
    flag("cgroup-parent", ' ', Kind::Value, "PATH", "Cgroup that the container's is made in"),
    flag("systemd", ' ', Kind::Value, "MODE", "Prepare for systemd inside: false, true, always"),
    flag("rootfs", ' ', Kind::Switch, "", "The argument is a directory, not an image"),
    flag("no-healthcheck", ' ', Kind::Switch, "", "Ignore the health check of the image"),
];

pub(super) fn apply(parsed: &Parsed, spec: &mut ContainerSpec) -> Result<(), Failure> {
    spec.remove = parsed.on("rm") || parsed.on("rmi");
    spec.remove_image = parsed.on("rmi");
    spec.restart = parsed.parsed("restart")?.unwrap_or_default();
    if spec.remove && spec.restart != RestartPolicy::No {
        return Err(Failure::usage("the --rm option conflicts with --restart, when the restartPolicy is not \"\" and \"no\""));
    }
    spec.stop_signal = parsed.parsed("stop-signal")?;
    spec.stop_timeout = parsed.number("stop-timeout")?;
    spec.timeout = parsed.number("timeout")?.unwrap_or(0);
    spec.init = parsed.on("init");
    spec.init_path = parsed.value("init-path").map(str::to_owned);
    spec.log.driver = parsed.parsed("log-driver")?;
    for option in parsed.all("log-opt") {
        spec.log.apply(option)?;
    }
    spec.cidfile = parsed.value("cidfile").map(str::to_owned);
    spec.pidfile = parsed.value("pidfile").map(absolute).transpose()?;
    spec.monitor_pidfile = parsed.value("conmon-pidfile").map(absolute).transpose()?;
    spec.cgroups = match parsed.value("cgroups") {
        None | Some("enabled") => CgroupsMode::Enabled,
        Some("disabled") => CgroupsMode::Disabled,
        Some("no-conmon") => CgroupsMode::NoConmon,
        Some(other) => return Err(Failure::usage(format!("invalid cgroups mode {other:?}: it is enabled, disabled or no-conmon"))),
    };
    spec.cgroup_parent = parsed.value("cgroup-parent").map(str::to_owned);
    spec.systemd = match parsed.value("systemd") {
        None | Some("true") => SystemdMode::Auto,
        Some("false") => SystemdMode::Never,
        Some("always") => return Err(Failure::usage("--systemd always is not supported by coracle yet")),
        Some(other) => return Err(Failure::usage(format!("invalid systemd mode {other:?}: it is true, false or always"))),
    };
    spec.rootfs = parsed.on("rootfs");
    if spec.rootfs {
        spec.image = absolute(&spec.image)?;
    }
    Ok(())
}

/// The monitor lives in another directory.
fn absolute(path: &str) -> Result<String, Failure> {
    std::path::absolute(path)
        .map(|path| path.to_string_lossy().into_owned())
        .map_err(|e| Failure::usage(format!("resolving {path:?}: {e}")))
}
