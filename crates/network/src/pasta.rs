//! pasta: a network namespace that looks like the host, without privileges.
//!
//! pasta takes 12 ms to come up, so it is spawned as soon as the namespace exists and awaited last. It forks once
//! the network is there; what stays is inherited by the monitor (a subreaper), which ends it with the container.
//! Killed without a word, the monitor leaves it to the namespace's file: pasta quits when that is gone.

use crate::helper::{Helper, HelperError, Starting};
use spec::network::{PortSpec, Protocol};
use std::path::Path;
use std::process::{Command, Stdio};

/// Address at which pasta takes DNS queries for the host's resolver.
pub const DNS_FORWARD: &str = "169.254.1.1";
/// Address of the host as newer versions show it inside.
pub const HOST_ADDRESS: &str = "169.254.1.2";

/// Plans the arguments.
pub fn arguments(
    ports: &[PortSpec],
    options: &[String],
    namespace: &Path,
    pid_file: &Path,
    is_root: bool,
) -> Result<Vec<String>, HelperError> {
    let mut args: Vec<String> = vec!["--config-net".into()];
    let given = |names: &[&str]| options.iter().any(|option| names.contains(&option.split('=').next().unwrap_or(option)));
    for port in ports {
        let flag = match port.protocol {
            Protocol::Tcp => "-t",
            Protocol::Udp => "-u",
            Protocol::Sctp => return Err(HelperError::Option { program: "pasta", option: "sctp".into() }),
        };
        args.push(flag.into());
        args.push(port_argument(port));
    }
    let publishes = |protocol| ports.iter().any(|port| port.protocol == protocol);
    if !publishes(Protocol::Tcp) && !given(&["-t", "--tcp-ports"]) {
        args.extend(["-t".into(), "none".into()]);
    }
    if !publishes(Protocol::Udp) && !given(&["-u", "--udp-ports"]) {
        args.extend(["-u".into(), "none".into()]);
    }
    if !given(&["-T", "--tcp-ns"]) {
        args.extend(["-T".into(), "none".into()]);
    }
    if !given(&["-U", "--udp-ns"]) {
        args.extend(["-U".into(), "none".into()]);
    }
    if !given(&["--map-gw", "--no-map-gw"]) {
        args.push("--no-map-gw".into());
    }
    if !given(&["--dns-forward"]) {
        args.extend(["--dns-forward".into(), DNS_FORWARD.into()]);
    }
    for option in options.iter().filter(|option| *option != "--map-gw") {
        // `-t,auto` comes as two options, `--mtu=1500` and `-m=1500` as one with a value.
        match option.split_once('=') {
            Some((name, value)) if name.starts_with("--") => args.extend([name.to_owned(), value.to_owned()]),
            _ => args.push(option.clone()),
        }
    }
    if is_root {
        args.extend(["--runas".into(), "0".into()]);
    }
    args.extend(["--quiet".into(), "-P".into(), pid_file.to_string_lossy().into_owned()]);
    args.extend(["--netns".into(), namespace.to_string_lossy().into_owned()]);
    Ok(args)
}

fn port_argument(port: &PortSpec) -> String {
    let range = |first: u16| if port.count > 1 { format!("{first}-{}", first + (port.count - 1)) } else { first.to_string() };
    let host = port.host_port.unwrap_or(port.container_port);
    let address = port.host_ip.map(|ip| format!("{ip}/")).unwrap_or_default();
    format!("{address}{}:{}", range(host), range(port.container_port))
}

/// Starts pasta for a namespace bound to a file.
pub fn start(args: &[String], pid_file: &Path) -> Result<Helper, HelperError> {
    let child =
        Command::new("pasta").args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                HelperError::Missing { program: "pasta" }
            } else {
                HelperError::Start { program: "pasta", source }
            }
        })?;
    Ok(Helper { program: "pasta", starting: Some(Starting::Forks { child, pid_file: pid_file.to_owned() }), pid: None, lifeline: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_become_arguments() {
        let port = |host_ip: Option<&str>, host_port, container_port, count| PortSpec {
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port,
            container_port,
            count,
            protocol: Protocol::Tcp,
        };
        assert_eq!(port_argument(&port(None, Some(8080), 80, 1)), "8080:80");
        assert_eq!(port_argument(&port(Some("127.0.0.1"), Some(8000), 9000, 3)), "127.0.0.1/8000-8002:9000-9002");
        let args = arguments(&[port(None, Some(8080), 80, 1)], &["--mtu=1500".into()], Path::new("/n"), Path::new("/p"), false).unwrap();
        assert_eq!(
            args.join(" "),
            "--config-net -t 8080:80 -u none -T none -U none --no-map-gw --dns-forward 169.254.1.1 --mtu 1500 --quiet -P /p --netns /n"
        );
    }
}
