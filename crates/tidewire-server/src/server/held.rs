//! The ports of a server that does not run.

use super::launch::Ports;

/// Keeps ports from everybody but the server that comes back to them: a socket is bound to each and does not listen. Whoever
/// connects is refused, and no search for a free port finds one of them, be it for a listener or for an outgoing
/// connection. A server listens there all the same, for both say that they may share the address.
///
/// Where a port cannot be had, and on systems other than Unix, it is not kept.
#[derive(Debug)]
pub(super) struct Held {
    #[cfg(unix)]
    _sockets: Vec<std::os::fd::OwnedFd>,
}

impl Held {
    #[cfg(unix)]
    pub(super) fn new(ports: Ports) -> Self {
        let ports = [ports.client, ports.monitoring].into_iter();
        Self {
            _sockets: ports.filter_map(|port| bound(port).ok()).collect(),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn new(_ports: Ports) -> Self {
        Self {}
    }
}

#[cfg(unix)]
fn bound(port: u16) -> rustix::io::Result<std::os::fd::OwnedFd> {
    use rustix::{
        io::{FdFlags, fcntl_setfd},
        net::{AddressFamily, SocketType, bind, socket, sockopt},
    };

    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    // The server that is started next must not inherit it.
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(
        &socket,
        &std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port),
    )?;
    Ok(socket)
}

#[cfg(all(test, unix))]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};

    use rustix::net::{AddressFamily, SocketType, bind, socket};

    use crate::Server;

    #[test]
    fn the_port_of_a_killed_server_is_nobody_elses() {
        let mut server = Server::start().unwrap();
        let port = server.port();
        server.kill().unwrap();
        let other = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let taken = bind(&other, &address).unwrap_err();
        assert_eq!(taken, rustix::io::Errno::ADDRINUSE);
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        server.restart().unwrap();
        assert_eq!(server.port(), port);
        TcpStream::connect(address).unwrap();
    }
}
