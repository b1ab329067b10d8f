//! Flags that `create` and `run` share, grouped by theme. Each group declares its flags and applies them to the
//! wish in one file.

mod identity;
mod lifecycle;
mod mounts;
mod network;
mod process;
mod resources;
mod security;

use crate::args::{Flag, Kind, Parsed, flag, refused};
use crate::failure::Failure;
use spec::ContainerSpec;

/// All groups.
pub(crate) const CONTAINER: &[&[Flag]] =
    &[identity::FLAGS, lifecycle::FLAGS, mounts::FLAGS, network::FLAGS, process::FLAGS, resources::FLAGS, security::FLAGS, IMAGE, NOT_YET];

/// Where the image comes from.
pub(crate) const IMAGE: &[Flag] = &[
    flag("pull", ' ', Kind::Value, "POLICY", "Pull the image: always, missing, never, newer"),
    flag("platform", ' ', Kind::Value, "OS/ARCH", "Platform of the image"),
    flag("arch", ' ', Kind::Value, "ARCH", "Architecture of the image"),
    flag("os", ' ', Kind::Value, "OS", "Operating system of the image"),
    flag("variant", ' ', Kind::Value, "VARIANT", "Variant of the architecture of the image"),
    flag("tls-verify", ' ', Kind::Switch, "", "Verify the certificate of the registry (default true)"),
    flag("creds", ' ', Kind::Value, "USER:PASSWORD", "Credentials for the registry"),
    flag("authfile", ' ', Kind::Value, "FILE", "File with credentials for registries"),
    flag("retry", ' ', Kind::Value, "N", "Try a pull so many times more"),
    flag("retry-delay", ' ', Kind::Value, "TIME", "Wait so long before trying again"),
    flag("quiet", 'q', Kind::Switch, "", "Say nothing while pulling"),
];

/// Known from Podman, not done yet: refused by name.
const NOT_YET: &[Flag] = &[
    refused("blkio-weight-device", ' ', true),
    refused("cert-dir", ' ', true),
    refused("chrootdirs", ' ', true),
    refused("cpu-rt-period", ' ', true),
    refused("cpu-rt-runtime", ' ', true),
    refused("device-cgroup-rule", ' ', true),
    refused("decryption-key", ' ', true),
    refused("disable-content-trust", ' ', false),
    refused("gpus", ' ', true),
    refused("health-cmd", ' ', true),
    refused("health-interval", ' ', true),
    refused("health-log-destination", ' ', true),
    refused("health-max-log-count", ' ', true),
    refused("health-max-log-size", ' ', true),
    refused("health-on-failure", ' ', true),
    refused("health-retries", ' ', true),
    refused("health-start-period", ' ', true),
    refused("health-startup-cmd", ' ', true),
    refused("health-startup-interval", ' ', true),
    refused("health-startup-retries", ' ', true),
    refused("health-startup-success", ' ', true),
    refused("health-startup-timeout", ' ', true),
    refused("health-timeout", ' ', true),
    refused("hostuser", ' ', true),
    refused("kernel-memory", ' ', true),
    refused("pod", ' ', true),
    refused("pod-id-file", ' ', true),
    refused("rdt-class", ' ', true),
    refused("requires", ' ', true),
    refused("seccomp-policy", ' ', true),
    refused("secret", ' ', true),
    refused("sdnotify", ' ', true),
    refused("shm-size-systemd", ' ', true),
    refused("signature-policy", ' ', true),
    refused("group-entry", ' ', true),
    refused("link", ' ', true),
    refused("memory-swappiness", ' ', true),
    refused("oom-kill-disable", ' ', false),
    refused("volume-driver", ' ', true),
];

/// Makes a wish of the flags and the words after them.
pub(crate) fn container_spec(parsed: &Parsed) -> Result<ContainerSpec, Failure> {
    let mut spec = ContainerSpec::default();
    let mut words = parsed.positionals.iter().cloned();
    spec.image = words.next().unwrap_or_default();
    spec.process.command = words.collect();
    identity::apply(parsed, &mut spec)?;
    lifecycle::apply(parsed, &mut spec)?;
    mounts::apply(parsed, &mut spec)?;
    network::apply(parsed, &mut spec)?;
    process::apply(parsed, &mut spec)?;
    resources::apply(&mut spec.resources, parsed)?;
    security::apply(parsed, &mut spec)?;
    Ok(spec)
}

pub(crate) use process::env_entries;

/// `key=value` entries as a map; a key alone has an empty value.
pub(crate) fn pairs(values: &[String]) -> impl Iterator<Item = (String, String)> + '_ {
    values
        .iter()
        .map(|entry| entry.split_once('=').map_or((entry.clone(), String::new()), |(key, value)| (key.to_owned(), value.to_owned())))
}

/// Reads a file of lines, as `--label-file` and `--env-file` name it.
pub(crate) fn lines_of(path: &str) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::usage(format!("reading {path:?}: {e}")))?;
    Ok(text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}
