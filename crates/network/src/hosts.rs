//! The text of `/etc/hosts`.

use std::net::IpAddr;

/// What goes into `/etc/hosts`.
#[derive(Debug, Clone, Default)]
pub struct HostsPlan<'a> {
    /// The file it begins with: the host's, another, or nothing.
    pub base: &'a str,
    /// `name:ip` and `name1;name2:ip`, as the user gave them.
    pub added: &'a [String],
    /// Address of the host, if it can be reached from inside.
    pub host_address: Option<IpAddr>,
    /// Names of the container itself.
    pub own_names: Vec<String>,
    /// Address of the container, if it has one of its own.
    pub own_address: Option<IpAddr>,
}

/// Writes the file. The user's entries come first, so that they win.
pub fn text(plan: &HostsPlan<'_>) -> Result<String, spec::ParseError> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for entry in plan.added {
        let invalid = |why: &str| spec::ParseError::new("host entry", entry, why);
        let (names, address) = entry.split_once([':', '=']).ok_or_else(|| invalid("it is written NAME:IP"))?;
        let address = address.trim_matches(['[', ']']);
        let address = if address == "host-gateway" {
            plan.host_address.ok_or_else(|| invalid("the host cannot be reached from this network"))?.to_string()
        } else {
            address.parse::<IpAddr>().map_err(|_| invalid("the address is not an IP address"))?.to_string()
        };
        if names.is_empty() || names.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(invalid("the name is not a host name"));
        }
        lines.push((address, names.split(';').collect::<Vec<_>>().join(" ")));
    }
    let named =
        |lines: &[(String, String)], name: &str| lines.iter().any(|(_, names)| names.split_ascii_whitespace().any(|known| known == name));
    for line in plan.base.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some((address, names)) = line.split_once(char::is_whitespace) else { continue };
        if address.parse::<IpAddr>().is_ok() {
            let rest: Vec<&str> = names.split_ascii_whitespace().filter(|name| !named(&lines, name)).collect();
            if !rest.is_empty() {
                lines.push((address.to_owned(), rest.join(" ")));
            }
        }
    }
    for (address, name) in [("127.0.0.1", "localhost"), ("::1", "localhost")] {
        if !lines.iter().any(|(known, names)| known == address && names.split_ascii_whitespace().any(|n| n == name)) {
            lines.push((address.to_owned(), name.to_owned()));
        }
    }
    if let Some(address) = plan.host_address {
        let names: Vec<&str> =
            ["host.containers.internal", "host.docker.internal"].into_iter().filter(|name| !named(&lines, name)).collect();
        if !names.is_empty() {
            lines.push((address.to_string(), names.join(" ")));
        }
    }
    let own: Vec<&str> = plan.own_names.iter().map(String::as_str).filter(|name| !named(&lines, name)).collect();
    if !own.is_empty() {
        let address = plan.own_address.map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string());
        lines.push((address, own.join(" ")));
    }
    Ok(lines.into_iter().map(|(address, names)| format!("{address}\t{names}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_entries_win() {
        let added = ["a;b:10.0.0.1".to_owned(), "gw:host-gateway".to_owned(), "six:::1".to_owned()];
        let plan = HostsPlan {
            base: "127.0.0.1 localhost a\n# comment\n10.1.1.1 other # x\n",
            added: &added,
            host_address: "169.254.1.2".parse().ok(),
            own_names: vec!["web".into(), "id".into()],
            own_address: None,
        };
        assert_eq!(
            text(&plan).unwrap(),
            "10.0.0.1\ta b\n169.254.1.2\tgw\n::1\tsix\n127.0.0.1\tlocalhost\n10.1.1.1\tother\n::1\tlocalhost\n\
             169.254.1.2\thost.containers.internal host.docker.internal\n127.0.0.1\tweb id\n"
        );
    }

    #[test]
    fn entries_that_are_none_are_refused() {
        for bad in ["a", "a:b", ":1.1.1.1", "a b:1.1.1.1", "a\nb:1.1.1.1"] {
            let added = [bad.to_owned()];
            assert!(text(&HostsPlan { added: &added, ..Default::default() }).is_err(), "{bad}");
        }
    }
}
