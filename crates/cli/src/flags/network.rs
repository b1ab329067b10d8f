//! Networks, ports, names.

use crate::args::{Flag, Kind, Parsed, also, flag};
use crate::failure::Failure;
use spec::ContainerSpec;

pub(super) const FLAGS: &[Flag] = &[
    also(flag("network", ' ', Kind::List, "MODE", "Network: pasta, slirp4netns, host, none, container:NAME, ns:PATH"), &["net"]),
    flag("publish", 'p', Kind::Words, "[IP:][HOST:]PORT[/PROTOCOL]", "Publish a port"),
    flag("publish-all", 'P', Kind::Switch, "", "Publish every exposed port at a free port of the host"),
    flag("expose", ' ', Kind::Words, "PORT[/PROTOCOL]", "Expose a port"),
    flag("dns", ' ', Kind::Words, "IP", "DNS server"),
    flag("dns-search", ' ', Kind::Words, "DOMAIN", "DNS search domain"),
    also(flag("dns-option", ' ', Kind::Words, "OPTION", "DNS option"), &["dns-opt"]),
    flag("add-host", ' ', Kind::Words, "NAME:IP", "Add a line to /etc/hosts"),
    flag("no-hosts", ' ', Kind::Switch, "", "Leave /etc/hosts of the image alone"),
    flag("no-hostname", ' ', Kind::Switch, "", "Leave /etc/hostname of the image alone"),
    flag("hosts-file", ' ', Kind::Value, "FILE", "Base of /etc/hosts: a file, image, or none"),
    flag("ip", ' ', Kind::Value, "IP", "Address on a bridge network"),
    flag("ip6", ' ', Kind::Value, "IP", "IPv6 address on a bridge network"),
    flag("mac-address", ' ', Kind::Value, "MAC", "Hardware address on a bridge network"),
    flag("network-alias", ' ', Kind::Words, "NAME", "Name on a bridge network"),
];

pub(super) fn apply(parsed: &Parsed, spec: &mut ContainerSpec) -> Result<(), Failure> {
    let network = &mut spec.network;
    network.mode = spec::network::parse_mode(parsed.all("network"))?;
    network.ports = parsed.all_parsed("publish")?;
    network.publish_all = parsed.on("publish-all");
    network.expose = parsed.all_parsed("expose")?;
    network.dns = parsed.all("dns").to_vec();
    for server in &network.dns {
        if server != "none" && server.parse::<std::net::IpAddr>().is_err() {
            return Err(Failure::usage(format!("{server} is not an ip address")));
        }
    }
    network.dns_search = parsed.all("dns-search").to_vec();
    network.dns_options = parsed.all("dns-option").to_vec();
    network.add_hosts = parsed.all("add-host").to_vec();
    network.no_hosts = parsed.on("no-hosts");
    if network.no_hosts && !network.add_hosts.is_empty() {
        return Err(Failure::usage("--no-hosts and --add-host cannot be set together"));
    }
    network.no_hostname = parsed.on("no-hostname");
    network.hosts_file = parsed.value("hosts-file").map(str::to_owned);
    let address = |flag: &'static str| {
        parsed
            .value(flag)
            .map(|text| text.parse().map_err(|_| Failure::usage(format!("invalid --{flag} {text:?}: it is no IP address"))))
            .transpose()
    };
    network.ip = address("ip")?;
    network.ip6 = address("ip6")?;
    network.mac_address = parsed.value("mac-address").map(str::to_owned);
    network.aliases = parsed.all("network-alias").to_vec();
    Ok(())
}
