//! The next command to type, where we know one.

use engine::Cure;

/// Turns a cure into words.
pub(crate) fn hint(cure: &Cure) -> Option<String> {
    Some(match cure {
        Cure::NameInUse { name, .. } => format!("remove it with `coracle rm {name}`, add --replace, or choose another --name"),
        Cure::PullImage { image } => format!("get it with `coracle pull {image}`, or see what is here with `coracle images`"),
        Cure::SubIdsMissing { user } => {
            format!("give the user a range: `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}`")
        }
        Cure::UidmapMissing => "install it: `sudo apt install uidmap`".to_owned(),
        Cure::UidmapPowerless => "it needs its set-user-id bit: `sudo chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap`".to_owned(),
        Cure::UserNamespacesOff { switch } => match switch.rsplit('/').next() {
            Some("max_user_namespaces") => "allow user namespaces: `sudo sysctl -w user.max_user_namespaces=28633`".to_owned(),
            Some("unprivileged_userns_clone") => "allow user namespaces: `sudo sysctl -w kernel.unprivileged_userns_clone=1`".to_owned(),
            _ => "AppArmor restricts user namespaces here: `coracle doctor` prints the profile that allows them for coracle".to_owned(),
        },
        Cure::PrivilegedPort { port } => {
            format!("choose a port from 1024 on, or allow low ones: `sudo sysctl -w net.ipv4.ip_unprivileged_port_start={port}`")
        }
        Cure::PortInUse { port } => format!("see who listens there: `ss -lntup sport = :{port}`"),
        Cure::HelperMissing { program, package } => format!("{program} is in package {package}: `sudo apt install {package}`"),
        Cure::StopFirst { container } => {
            format!("stop it first with `coracle stop {container}`, or remove it with `coracle rm -f {container}`")
        }
        Cure::StartFirst { container } => format!("start it with `coracle start {container}`"),
        Cure::IdMapOwner { path, uid } => {
            format!(
                "{path} belongs to user {uid} of the host, which the container does not have: try --userns=keep-id, or the volume option U"
            )
        }
        Cure::DiskFull { path } => format!("make room in {path}: `coracle system prune`"),
        Cure::LogIn { registry } => format!("log in with `coracle login {registry}`"),
        Cure::TrustRegistry { registry } => {
            format!(
                "for a registry without a known certificate use --tls-verify=false, or put its CA into /etc/containers/certs.d/{registry}/ca.crt"
            )
        }
        Cure::DelegateController { controller } => {
            format!(
                "have systemd delegate it: put \"[Service]\\nDelegate={controller}\" into /etc/systemd/system/user@.service.d/delegate.conf; `coracle doctor` tells more"
            )
        }
        Cure::Doctor => "`coracle doctor` looks for the cause".to_owned(),
        Cure::InUseBy { containers } => format!("it is used by {}: remove those first, or add --force", containers.join(", ")),
    })
}
