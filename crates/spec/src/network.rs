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

impl std::str::FromStr for Protocol {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(crate::ParseError::new("protocol", text, "it is tcp, udp or sctp")),
        }
    }
}

impl Protocol {
    /// The protocol's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok().filter(|port| *port > 0))?;
    let (first, last) = (port(first)?, port(last)?);
    // One more than the last would not fit for 1-65535 of all 65536.
    (first <= last).then(|| (first, last - first + 1))
}

impl std::str::FromStr for PortSpec {
    type Err = crate::ParseError;

    /// `[[ip:][host][-last]:]container[-last][/protocol]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: &str| crate::ParseError::new("port mapping", text, why);
        let (ports, protocol) = match text.rsplit_once('/') {
            Some((ports, protocol)) => (ports, protocol.parse()?),
            None => (text, Protocol::Tcp),
        };
        let (host_ip, rest) = if let Some(bracketed) = ports.strip_prefix('[') {
            let (ip, rest) = bracketed.split_once("]:").ok_or_else(|| invalid("an IPv6 address is written [address]:host:container"))?;
            (Some(ip), rest)
        } else {
            match ports.match_indices(':').count() {
                0 | 1 => (None, ports),
                2 => ports.split_once(':').map(|(ip, rest)| (Some(ip), rest)).unwrap_or((None, ports)),
                _ => return Err(invalid("there are too many colons; an IPv6 address is written in brackets")),
            }
        };
        let host_ip = match host_ip {
            None => None,
            Some("") => return Err(invalid("the address before the ports is empty")),
            Some(ip) => Some(ip.parse::<IpAddr>().map_err(|_| invalid("the address is not an IP address"))?),
        };
        let (host, container) = match rest.split_once(':') {
            Some((host, container)) => (Some(host).filter(|host| !host.is_empty()), container),
            None => (None, rest),
        };
        let (container_port, count) =
            port_range(container).ok_or_else(|| invalid("the container port is a number from 1 to 65535, or a range"))?;
        let host_port = match host {
            None => None,
            Some(host) => {
                let (first, host_count) =
                    port_range(host).ok_or_else(|| invalid("the host port is a number from 1 to 65535, or a range"))?;
                if host_count != count {
                    return Err(invalid("the ranges of host and container ports have different lengths"));
                }
                Some(first)
            }
        };
        Ok(Self { host_ip, host_port, container_port, count, protocol })
    }
}

impl std::str::FromStr for ExposedPort {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (port, count) =
            port_range(range).ok_or_else(|| crate::ParseError::new("exposed port", text, "it is a port or a range, with /protocol"))?;
        Ok(Self { port, count, protocol: protocol.parse()? })
    }
}

/// Parses all values of `--network` together.
pub fn parse_mode(values: &[String]) -> Result<NetworkMode, crate::ParseError> {
    let Some(first) = values.first() else { return Ok(NetworkMode::Default) };
    let (head, tail) = first.split_once(':').unwrap_or((first, ""));
    let words = || tail.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    if !tail.is_empty() && matches!(head, "none" | "host" | "private" | "" | "default") {
        return Err(crate::ParseError::new("network", first, format!("{head:?} takes no options")));
    }
    let mode = match head {
        "none" => NetworkMode::None,
        "host" => NetworkMode::Host,
        "private" => NetworkMode::Private,
        "" | "default" => NetworkMode::Default,
        "pasta" => NetworkMode::Pasta(words()),
        "slirp4netns" => NetworkMode::Slirp4netns(words()),
        "container" if !tail.is_empty() => NetworkMode::Container(tail.to_owned()),
        "ns" if tail.starts_with('/') => NetworkMode::Path(tail.to_owned()),
        "container" | "ns" => {
            return Err(crate::ParseError::new("network", first, "a container's name, or an absolute path, follows the colon"));
        }
        _ => {
            let mut networks = Vec::new();
            for value in values {
                let (name, options) = value.split_once(':').unwrap_or((value, ""));
                if crate::Name::parse(name).is_err() {
                    return Err(crate::ParseError::new(
                        "network",
                        value,
                        "it is none, host, pasta, slirp4netns, container:NAME, ns:PATH or the name of a network",
                    ));
                }
                let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for option in options.split(',').filter(|option| !option.is_empty()) {
                    let (key, value) = option.split_once('=').unwrap_or((option, ""));
                    map.entry(key.to_owned()).or_default().push(value.to_owned());
                }
                networks.push(NetworkAttachment { name: name.to_owned(), options: map });
            }
            return Ok(NetworkMode::Bridge(networks));
        }
    };
    if values.len() > 1 {
        return Err(crate::ParseError::new("network", &values[1], format!("{head:?} cannot be combined with other networks")));
    }
    Ok(mode)
}

/// Checks one `--add-host NAME[;NAME…]:IP`; the address may be `host-gateway`.
pub fn check_add_host(text: &str) -> Result<(), crate::ParseError> {
    let invalid = |why: &str| crate::ParseError::new("host entry", text, why);
    let (names, address) = text.split_once(':').ok_or_else(|| invalid("it is written NAME:IP"))?;
    // A line feed here would write lines of its own into /etc/hosts.
    let is_name =
        |name: &str| !name.is_empty() && name.len() <= 253 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.*".contains(&b));
    if !names.split(';').all(is_name) {
        return Err(invalid("the host name is empty or has a letter that host names do not have"));
    }
    let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
    if address == "host-gateway" || address.parse::<IpAddr>().is_ok() {
        Ok(())
    } else {
        Err(invalid("the address is an IP address or host-gateway"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_all_spellings() {
        let show = |text: &str| {
            let p: PortSpec = text.parse().unwrap_or_else(|e| panic!("{e}"));
            format!("{:?} {:?} {} {} {}", p.host_ip.map(|ip| ip.to_string()), p.host_port, p.container_port, p.count, p.protocol.as_str())
        };
        assert_eq!(show("80"), "None None 80 1 tcp");
        assert_eq!(show("8080:80"), "None Some(8080) 80 1 tcp");
        assert_eq!(show("8080:80/udp"), "None Some(8080) 80 1 udp");
        assert_eq!(show("127.0.0.1:8080:80"), "Some(\"127.0.0.1\") Some(8080) 80 1 tcp");
        assert_eq!(show("127.0.0.1::80"), "Some(\"127.0.0.1\") None 80 1 tcp");
        assert_eq!(show("[::1]:8080:80"), "Some(\"::1\") Some(8080) 80 1 tcp");
        assert_eq!(show("8000-8010:9000-9010"), "None Some(8000) 9000 11 tcp");
        assert_eq!(show(":80"), "None None 80 1 tcp");
        for bad in ["", "0", "65536", "a", "80:", "1-2:3", "2-1", "x:1:2", "::1:80:80", "80/icmp", "80:80:80:80", "+80", "8 0"] {
            assert!(bad.parse::<PortSpec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn modes_of_the_network() {
        let parse = |values: &[&str]| parse_mode(&values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>());
        assert_eq!(parse(&[]).unwrap(), NetworkMode::Default);
        assert_eq!(parse(&["pasta:-t,auto"]).unwrap(), NetworkMode::Pasta(vec!["-t".into(), "auto".into()]));
        assert_eq!(parse(&["container:web"]).unwrap(), NetworkMode::Container("web".into()));
        assert!(matches!(parse(&["a:ip=1.1.1.1", "b"]).unwrap(), NetworkMode::Bridge(list) if list.len() == 2));
        assert!(parse(&["host", "none"]).is_err() && parse(&["container:"]).is_err() && parse(&["a/b"]).is_err());
    }
}
