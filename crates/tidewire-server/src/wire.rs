//! As much of the NATS protocol as it takes to see whether a server answers.

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Connects, greets and waits for the answer to a PING.
///
/// A server that wants TLS or credentials was given them by the user's own settings; that it says so is answer enough.
pub(crate) fn ping(port: u16, patience: Duration) -> io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let info = line(&mut reader)?;
    if !info.starts_with("INFO ") {
        return Err(io::Error::other(format!(
            "port {port} is no nats-server: it said {info:?}"
        )));
    }
    if info.contains("\"tls_required\":true") || info.contains("\"auth_required\":true") {
        return Ok(());
    }
    stream.write_all(
        b"CONNECT {\"verbose\":false,\"pedantic\":false,\"name\":\"tidewire-server\"}\r\nPING\r\n",
    )?;
    loop {
        match line(&mut reader)?.as_str() {
            "PONG" => return Ok(()),
            "PING" => stream.write_all(b"PONG\r\n")?,
            refusal if refusal.starts_with("-ERR") => return Err(io::Error::other(refusal.to_owned())),
            _ => {}
        }
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
