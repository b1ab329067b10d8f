//! The network of a container, from wish to helper.

use crate::container::ContainerRecord;
use crate::error::{Cure, Error, ErrorKind, Result};
use crate::open::Engine;
use crate::plan::Facts;
use network::hosts::HostsPlan;
use network::resolv::ResolvPlan;
use network::{HelperError, pasta, slirp4netns};
use oci::runtime::NamespaceKind;
use spec::network::NetworkMode;
use std::net::IpAddr;

/// A helper at work.
pub(crate) struct Helper {
    inner: network::Helper,
    after: Option<(std::path::PathBuf, Vec<spec::network::PortSpec>)>,
}

/// Refuses what cannot be, before anything is made.
pub fn check(record: &ContainerRecord) -> Result<()> {
    if let NetworkMode::Bridge(networks) = &record.spec.network.mode {
        let name = networks.first().map_or("bridge", |network| network.name.as_str());
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "network {name:?}: bridges and named networks are not supported yet: use pasta, slirp4netns, host, none, container:NAME or ns:PATH"
            ),
        ));
    }
    let network = &record.spec.network;
    for (flag, given) in [
        ("--ip", network.ip.is_some()),
        ("--ip6", network.ip6.is_some()),
        ("--mac-address", network.mac_address.is_some()),
        ("--network-alias", !network.aliases.is_empty()),
    ] {
        if given {
            return Err(Error::new(ErrorKind::Unsupported, format!("{flag} needs a bridge network, which is not supported yet")));
        }
    }
    Ok(())
}

/// Starts the helper of a container whose namespaces exist; it works while they are filled.
pub(crate) fn begin(engine: &Engine, record: &ContainerRecord, pid: i32, facts: &Facts) -> Result<Option<Helper>> {
    if facts.host_network || facts.joined.contains_key(&NamespaceKind::Network) {
        return Ok(None);
    }
    let run_dir = engine.paths.container_run(&record.id);
    match &record.spec.network.mode {
        NetworkMode::Default => start_pasta(record, &run_dir, pid, &[], engine).map(Some),
        NetworkMode::Pasta(options) => start_pasta(record, &run_dir, pid, options, engine).map(Some),
        NetworkMode::Slirp4netns(options) => {
            let socket = run_dir.join("slirp.sock");
            let inner = slirp4netns::start(pid, options, &socket).map_err(|e| helper_error(e, record))?;
            Ok(Some(Helper { inner, after: Some((socket, record.ports.clone())) }))
        }
        _ => Ok(None),
    }
}

fn start_pasta(record: &ContainerRecord, run_dir: &std::path::Path, pid: i32, options: &[String], engine: &Engine) -> Result<Helper> {
    // Older versions want a file, and quit when it is gone: a bind mount that only we see, and that goes with us.
    let file = run_dir.join(format!("netns-{pid}"));
    let doing = |e: std::io::Error| Error::io("naming the network namespace", e);
    std::fs::File::create(&file).map_err(doing)?;
    rustix::mount::mount_bind(format!("/proc/{pid}/ns/net"), &file).map_err(|e| doing(e.into()))?;
    let pid_file = run_dir.join("pasta.pid");
    let args = pasta::arguments(&record.ports, options, &file, &pid_file, !engine.is_rootless()).map_err(|e| helper_error(e, record))?;
    let inner = pasta::start(&args, &pid_file).map_err(|e| helper_error(e, record))?;
    Ok(Helper { inner, after: None })
}

impl Helper {
    pub(crate) fn wait_ready(&mut self, record: &ContainerRecord) -> Result<()> {
        self.inner.wait_ready().map_err(|e| helper_error(e, record))?;
        if let Some((socket, ports)) = self.after.take() {
            slirp4netns::publish(&socket, &ports).map_err(|e| helper_error(e, record))?;
        }
        Ok(())
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.inner.pid()
    }

    pub(crate) fn end(self) {
        self.inner.end();
    }
}

fn helper_error(error: HelperError, record: &ContainerRecord) -> Error {
    let cure = match &error {
        HelperError::Missing { program } => {
            let package = if *program == "pasta" { "passt" } else { program };
            Some(Cure::HelperMissing { program: (*program).to_owned(), package: package.to_owned() })
        }
        HelperError::Port { .. } => record.ports.first().and_then(|port| port.host_port).map(|port| Cure::PortInUse { port }),
        _ => Some(Cure::Doctor),
    };
    let kind = match &error {
        HelperError::Missing { .. } => ErrorKind::Unsupported,
        HelperError::Option { .. } => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    let error = Error::because(kind, format!("setting up the network of container {:?}", record.name.as_str()), error);
    match cure {
        Some(cure) => error.with_cure(cure),
        None => error,
    }
}

fn uses_pasta(mode: &NetworkMode) -> bool {
    matches!(mode, NetworkMode::Default | NetworkMode::Pasta(_))
}

/// The text of /etc/hosts.
pub(crate) fn hosts_text(record: &ContainerRecord, facts: &Facts) -> Result<String> {
    let network = &record.spec.network;
    let base = match network.hosts_file.as_deref() {
        Some("none") => String::new(),
        Some("image") | None => std::fs::read_to_string("/etc/hosts").unwrap_or_default(),
        Some(path) => std::fs::read_to_string(path).map_err(|e| Error::io(format!("reading hosts file {path:?}"), e))?,
    };
    let own_network = !facts.host_network;
    let mut own_names = Vec::new();
    if own_network {
        own_names.extend([facts.hostname.clone(), record.name.to_string()]);
        own_names.dedup();
    }
    let host_address: Option<IpAddr> = if facts.host_network {
        "127.0.0.1".parse().ok()
    } else {
        match &network.mode {
            NetworkMode::Slirp4netns(_) => "10.0.2.2".parse().ok(),
            mode if uses_pasta(mode) => outbound_address(),
            _ => None,
        }
    };
    let own_address = if uses_pasta(&network.mode) { outbound_address() } else { None };
    let plan = HostsPlan { base: &base, added: &network.add_hosts, host_address, own_names, own_address };
    Ok(network::hosts::text(&plan)?)
}

/// The address the host would send from, which pasta gives to the container too: no packet is sent to find it.
fn outbound_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

/// The text of /etc/resolv.conf.
pub(crate) fn resolv_text(_engine: &Engine, record: &ContainerRecord) -> Result<String> {
    let network = &record.spec.network;
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let mut base = read("/etc/resolv.conf").unwrap_or_default();
    // systemd-resolved keeps the real servers in a file of its own.
    if base.lines().filter(|line| line.starts_with("nameserver")).all(|line| line.contains("127.0.0.53"))
        && let Some(real) = read("/run/systemd/resolve/resolv.conf")
    {
        base = real;
    }
    let forwarder = match &network.mode {
        mode if uses_pasta(mode) => Some(pasta::DNS_FORWARD),
        NetworkMode::Slirp4netns(_) => Some(slirp4netns::DNS),
        _ => None,
    };
    Ok(network::resolv::text(&ResolvPlan {
        base: &base,
        servers: &network.dns,
        search: &network.dns_search,
        options: &network.dns_options,
        forwarder,
        host_network: matches!(network.mode, NetworkMode::Host),
    }))
}
