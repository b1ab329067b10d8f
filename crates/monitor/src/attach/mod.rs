//! The client's side of a container's output and input.
//!
//! [`Client`] speaks the protocol, [`run_session`] joins it to this process's stdio until the container ends or the
//! user types the detach keys.

pub mod detach_keys;
mod session;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use thiserror::Error;

pub use detach_keys::{DetachKeys, DetachKeysError};
pub use session::{SessionEnd, SessionOptions, run_session};

use crate::protocol::{Event, Inbox, ProtocolError, Request, Start};

/// How long a monitor may take to note a stop; one that is stuck must not make `stop` hang.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// What one receive may bring: more than a monitor sends at once.
const RECEIVE: usize = 256 << 10;

/// Why a monitor cannot be spoken to.
#[derive(Debug, Error)]
pub enum AttachError {
    /// Nobody listens.
    #[error("connecting to the container's monitor")]
    Connect(#[source] io::Error),
    /// The conversation broke off.
    #[error("talking to the container's monitor")]
    Talk(#[source] io::Error),
    /// It says what we do not understand.
    #[error("understanding the container's monitor")]
    Protocol(#[from] ProtocolError),
}

/// A connection to a container's monitor.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    inbox: Inbox,
}

/// What a receive came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    Something,
    NotYet,
    Closed,
}

impl Client {
    /// Connects to the socket of a running container.
    pub fn connect(path: &Path) -> Result<Client, AttachError> {
        Client::connect_within(path, None)
    }

    fn connect_within(path: &Path, patience: Option<Duration>) -> Result<Client, AttachError> {
        let connect = || {
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            // Connecting waits, too, while a stuck monitor accepts nobody.
            set_socket_timeout(&socket, Timeout::Send, patience)?;
            set_socket_timeout(&socket, Timeout::Recv, patience)?;
            rustix::net::connect(&socket, &socket_address(path)?.0)?;
            Ok::<_, Errno>(socket)
        };
        connect().map(Client::from_fd).map_err(|error| AttachError::Connect(error.into()))
    }

    /// Takes the client's end of the socket pair a monitor was started with.
    pub fn from_fd(socket: OwnedFd) -> Client {
        Client { socket, inbox: Inbox::default() }
    }

    /// Says what is wanted, and hands outputs over.
    pub(crate) fn start(&self, start: Start, outputs: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = Request::Start(start).encode();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !outputs.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(outputs));
        }
        // A frame of seven bytes goes whole into a fresh socket.
        rustix::net::sendmsg(&self.socket, &[io::IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Receives what is there; never waits.
    pub(crate) fn receive(&mut self) -> io::Result<Received> {
        self.receive_with(RecvFlags::DONTWAIT)
    }

    fn receive_with(&mut self, flags: RecvFlags) -> io::Result<Received> {
        let space = self.inbox.space(RECEIVE);
        match rustix::net::recv(&self.socket, rustix::buffer::spare_capacity(space), flags) {
            Ok((_, 0)) => Ok(Received::Closed),
            Ok(_) => Ok(Received::Something),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Received::NotYet),
            // The monitor died with requests of ours unread.
            Err(Errno::CONNRESET) => Ok(Received::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the next whole event that was received.
    pub(crate) fn next_event(&mut self) -> Result<Option<Event<'_>>, ProtocolError> {
        match self.inbox.next_frame()? {
            Some((kind, payload)) => Event::decode(kind, payload).map(Some),
            None => Ok(None),
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Tells a monitor that the user asked for a stop, and returns the pid (as the monitor sees it) of the init that still
/// runs. Once this returns the monitor launches nothing any more, so whoever kills that init has stopped the container.
/// A monitor that does not answer within two seconds is an error; the stop flag and a kill still stop its container.
pub fn announce_stop(path: &Path) -> Result<Option<i32>, AttachError> {
    let mut client = Client::connect_within(path, Some(STOP_PATIENCE))?;
    let bytes = Request::StopAsked.encode();
    rustix::net::send(&client.socket, &bytes, SendFlags::NOSIGNAL).map_err(|error| AttachError::Talk(error.into()))?;
    loop {
        if let Some(Event::StopNoted { init_pid }) = client.next_event()? {
            return Ok(init_pid);
        }
        match client.receive_with(RecvFlags::empty()).map_err(AttachError::Talk)? {
            Received::Something => {}
            Received::NotYet => return Err(AttachError::Talk(io::ErrorKind::TimedOut.into())),
            Received::Closed => return Err(AttachError::Talk(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

/// Creates the listening socket of a container, for [`crate::Supervision::attach_listener`]; only its owner may connect.
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The mode of a bound socket is the mode of the unbound one, less the umask.
    rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    rustix::net::bind(&socket, &socket_address(path)?.0)?;
    rustix::net::listen(&socket, 16)?;
    Ok(socket)
}

/// Returns an address for a path of any length: one beyond 107 bytes goes by way of a held directory.
fn socket_address(path: &Path) -> rustix::io::Result<(SocketAddrUnix, Option<OwnedFd>)> {
    use rustix::fs::{Mode, OFlags, open};
    use std::os::fd::AsRawFd;
    if let Ok(address) = SocketAddrUnix::new(path) {
        return Ok((address, None));
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL);
    };
    let held = open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(held.as_raw_fd().to_string()).join(name);
    Ok((SocketAddrUnix::new(&short)?, Some(held)))
}
