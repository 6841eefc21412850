//! A client that checks nothing.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// Publishes with these bytes as the header block; returns once the server has read them.
pub(crate) fn publish_raw(port: u16, subject: &str, block: &[u8], payload: &[u8]) {
    publish_raw_as(port, "", subject, block, payload);
}

/// The same with `login` added to what the client says of itself.
pub(crate) fn publish_raw_as(port: u16, login: &str, subject: &str, block: &[u8], payload: &[u8]) {
    let (headers, all) = (block.len(), block.len() + payload.len());
    let first = format!(
        "CONNECT {{\"verbose\":false,\"headers\":true{login}}}\r\nHPUB {subject} {headers} {all}\r\n"
    );
    let sent = [first.as_bytes(), block, payload, b"\r\nPING\r\n"].concat();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(&sent).unwrap();
    // Gone only after the server has read it: it answers the PING.
    let mut answer = [0; 4];
    while !answer.ends_with(b"PONG") {
        answer.rotate_left(1);
        stream.read_exact(&mut answer[3..]).unwrap();
    }
}
