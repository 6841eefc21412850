//! Traces that a side exports while it works, and somebody who takes them.

use std::{
    any::Any,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
};

use tidewire::BoxError;

/// Exports the spans of this process, those and to where the environment says, until what it gives back is dropped.
#[cfg(feature = "otlp")]
pub(crate) fn export() -> Result<Box<dyn Any>, BoxError> {
    use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

    let (traces, flush) = tidewire::telemetry::otlp("tidewire-bench")?;
    tracing_subscriber::registry().with(traces).init();
    Ok(Box::new(flush))
}

#[cfg(not(feature = "otlp"))]
pub(crate) fn export() -> Result<Box<dyn Any>, BoxError> {
    Err("this program cannot export traces; build it with `--features otlp`".into())
}

/// A collector that takes everything and keeps nothing. It is in the process that starts the sides, so that what it costs is
/// none of theirs.
#[derive(Debug)]
pub(crate) struct Sink(SocketAddr);

impl Sink {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                // Whoever goes away in the middle has nothing more to say.
                thread::spawn(|| drop(take(stream)));
            }
        });
        Ok(Self(address))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

/// Answers one request after the other with 200.
fn take(stream: TcpStream) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sink_answers_one_request_after_the_other() {
        let sink = Sink::start().unwrap();
        let mut stream = TcpStream::connect(sink.0).unwrap();
        for _ in 0..2 {
            let request = b"POST /v1/traces HTTP/1.1\r\nHost: it\r\nContent-Length: 5\r\n\r\nspans";
            stream.write_all(request).unwrap();
            let mut answer = [0; 38];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, *b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    }
}
