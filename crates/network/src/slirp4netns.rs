//! slirp4netns: the older way out of a network namespace, for hosts without pasta.

use crate::helper::{Helper, HelperError, Starting};
use spec::network::{PortSpec, Protocol};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// Address of slirp4netns's resolver.
pub const DNS: &str = "10.0.2.3";

/// Plans the arguments that the user's options add.
pub fn option_arguments(options: &[String]) -> Result<Vec<String>, HelperError> {
    let mut args = vec!["--disable-host-loopback".to_owned()];
    let mut mtu = "65520".to_owned();
    let mut ipv6 = true;
    for option in options {
        let (key, value) = option.split_once('=').unwrap_or((option, "true"));
        match key {
            "allow_host_loopback" if value == "true" => args.retain(|arg| arg != "--disable-host-loopback"),
            "allow_host_loopback" => {}
            "mtu" => value.clone_into(&mut mtu),
            "enable_ipv6" => ipv6 = value == "true",
            "cidr" => args.push(format!("--cidr={value}")),
            "outbound_addr" => args.push(format!("--outbound-addr={value}")),
            "outbound_addr6" => args.push(format!("--outbound-addr6={value}")),
            "port_handler" if value == "slirp4netns" => {}
            _ => return Err(HelperError::Option { program: "slirp4netns", option: option.clone() }),
        }
    }
    args.push(format!("--mtu={mtu}"));
    if ipv6 {
        args.push("--enable-ipv6".to_owned());
    }
    Ok(args)
}

/// Starts slirp4netns for the network namespace of a process; ports are added through its socket when it is up.
pub fn start(pid: i32, options: &[String], api_socket: &Path) -> Result<Helper, HelperError> {
    let program = "slirp4netns";
    let io = |e: rustix::io::Errno| HelperError::Start { program, source: e.into() };
    // Not close-on-exec: both ends are handed over by number.
    let (ready, ready_child) = rustix::pipe::pipe().map_err(io)?;
    let (exit_child, lifeline) = rustix::pipe::pipe().map_err(io)?;
    for ours in [&ready, &lifeline] {
        rustix::io::fcntl_setfd(ours, rustix::io::FdFlags::CLOEXEC).map_err(io)?;
    }
    let child = Command::new(program)
        .args([
            "--configure".to_owned(),
            format!("--ready-fd={}", ready_child.as_raw_fd()),
            format!("--exit-fd={}", exit_child.as_raw_fd()),
        ])
        .arg(format!("--api-socket={}", api_socket.display()))
        .args(option_arguments(options)?)
        .args([pid.to_string(), "tap0".to_owned()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                HelperError::Missing { program }
            } else {
                HelperError::Start { program, source }
            }
        })?;
    Ok(Helper { program, starting: Some(Starting::Tells { child, ready }), pid: None, lifeline: Some(lifeline) })
}

/// Publishes ports through the socket of a running slirp4netns.
pub fn publish(api_socket: &Path, ports: &[PortSpec]) -> Result<(), HelperError> {
    let program = "slirp4netns";
    for port in ports {
        for offset in 0..port.count {
            let protocol = match port.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
                Protocol::Sctp => return Err(HelperError::Option { program, option: "sctp".into() }),
            };
            let host = port.host_port.unwrap_or(port.container_port) + offset;
            let address = port.host_ip.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
            let request = serde_json::json!({"execute": "add_hostfwd", "arguments": {
                "proto": protocol, "host_addr": address, "host_port": host, "guest_port": port.container_port + offset,
            }});
            let answer = ask(api_socket, &request.to_string()).map_err(|source| HelperError::Start { program, source })?;
            if answer.contains("\"error\"") {
                return Err(HelperError::Port { program, said: format!("port {host}: {answer}") });
            }
        }
    }
    Ok(())
}

fn ask(socket: &Path, request: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
