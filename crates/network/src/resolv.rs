//! The text of `/etc/resolv.conf`.

/// What goes into `/etc/resolv.conf`.
#[derive(Debug, Clone, Default)]
pub struct ResolvPlan<'a> {
    /// The host's file.
    pub base: &'a str,
    /// Servers the user gave; without any, the host's that can be reached.
    pub servers: &'a [String],
    /// Search domains the user gave; `.` alone is none.
    pub search: &'a [String],
    /// Options the user gave.
    pub options: &'a [String],
    /// A server in front of the host's: the forwarder of the network helper.
    pub forwarder: Option<&'a str>,
    /// The container is in the host's network, where loopback servers can be reached.
    pub host_network: bool,
}

/// Writes the file.
pub fn text(plan: &ResolvPlan<'_>) -> String {
    let words = |key: &str| -> Vec<String> {
        let lines = plan.base.lines().map(|line| line.split(['#', ';']).next().unwrap_or_default().trim());
        lines
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix([' ', '\t']).map(str::trim))
            .flat_map(|rest| rest.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    };
    let is_loopback = |server: &String| {
        let address = server.split('%').next().unwrap_or(server);
        address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    let mut servers = plan.servers.to_vec();
    if servers.is_empty() {
        servers.extend(plan.forwarder.map(str::to_owned));
        servers.extend(words("nameserver").into_iter().filter(|server| plan.host_network || !is_loopback(server)));
        servers.dedup();
    }
    let search =
        if plan.search.is_empty() { words("search") } else { plan.search.iter().filter(|domain| *domain != ".").cloned().collect() };
    let options = if plan.options.is_empty() { words("options") } else { plan.options.to_vec() };
    let mut text = String::new();
    if !search.is_empty() {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !options.is_empty() {
        text.push_str(&format!("options {}\n", options.join(" ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_servers_stay_outside() {
        let base = "# c\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch a b\noptions edns0\n";
        let plan = ResolvPlan { base, forwarder: Some("169.254.1.1"), ..Default::default() };
        assert_eq!(text(&plan), "search a b\nnameserver 169.254.1.1\nnameserver 10.0.0.1\noptions edns0\n");
        assert!(text(&ResolvPlan { base, host_network: true, ..Default::default() }).contains("127.0.0.53"));
        let servers = ["1.1.1.1".to_owned()];
        let search = [".".to_owned()];
        assert_eq!(
            text(&ResolvPlan { base, servers: &servers, search: &search, ..Default::default() }),
            "nameserver 1.1.1.1\noptions edns0\n"
        );
    }
}
