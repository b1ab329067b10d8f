//! Networks, ports, names (`--network`, `-p`, `--expose`, `--dns*`, `--add-host`, …).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// All a user says of a container's network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSpec {
    /// The mode; `Default` is pasta rootless and the bridge as root.
    pub mode: NetworkMode,
    /// Published ports.
    pub ports: Vec<PortSpec>,
    /// Exposed ports, `(port, protocol)` ranges.
    pub expose: Vec<ExposedPort>,
    /// Publish every exposed port (`-P`).
    pub publish_all: bool,
    /// DNS servers; an empty list is the host's.
    pub dns: Vec<String>,
    /// DNS search domains.
    pub dns_search: Vec<String>,
    /// DNS options.
    pub dns_options: Vec<String>,
    /// `host:ip` entries for /etc/hosts.
    pub add_hosts: Vec<String>,
    /// /etc/hosts of the image is left alone (`--no-hosts`).
    pub no_hosts: bool,
    /// /etc/hostname of the image is left alone (`--no-hostname`).
    pub no_hostname: bool,
    /// Base of /etc/hosts (`--hosts-file`): path, `image`, `none`.
    pub hosts_file: Option<String>,
    /// Static address, for bridges.
    pub ip: Option<IpAddr>,
    /// Static IPv6 address, for bridges.
    pub ip6: Option<IpAddr>,
    /// Hardware address, for bridges.
    pub mac_address: Option<String>,
    /// Names on the network, for bridges.
    pub aliases: Vec<String>,
}

/// `--network`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// As the configuration says.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's.
    Host,
    /// pasta with options.
    Pasta(Vec<String>),
    /// slirp4netns with options.
    Slirp4netns(Vec<String>),
    /// Another container's.
    Container(String),
    /// The namespace at a path.
    Path(String),
    /// A new namespace, set up by nobody (`private`).
    Private,
    /// Bridges or named networks, with their options.
    Bridge(Vec<NetworkAttachment>),
}

/// One named network and its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAttachment {
    /// Name of the network; `bridge` is the default one.
    pub name: String,
    /// `ip=`, `mac=`, `alias=`, `interface_name=`, …
    pub options: BTreeMap<String, Vec<String>>,
}

/// One published port or range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Address on the host; all when absent.
    pub host_ip: Option<IpAddr>,
    /// First port on the host; a free one when absent.
    pub host_port: Option<u16>,
    /// First port in the container.
    pub container_port: u16,
    /// How many.
    pub count: u16,
    /// tcp, udp or sctp.
    pub protocol: Protocol,
}

/// `--expose`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposedPort {
    /// First port.
    pub port: u16,
    /// How many.
    pub count: u16,
    /// Protocol.
    pub protocol: Protocol,
}

/// Transport protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}
