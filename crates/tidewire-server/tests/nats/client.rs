//! A NATS client of a page, so that the tests need none of the crates that use this one.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    pub(crate) info: Value,
}

impl Client {
    pub(crate) fn connect(url: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(url.trim_start_matches("nats://"))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.set_nodelay(true)?;
        let reader = BufReader::new(stream.try_clone()?);
        let mut client = Self {
            stream,
            reader,
            info: Value::Null,
        };
        let info = client.line()?;
        client.info = serde_json::from_str(info.trim_start_matches("INFO ")).map_err(io::Error::other)?;
        client
            .stream
            .write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB _INBOX.test 1\r\n")?;
        client.ping(Duration::from_secs(5))?;
        Ok(client)
    }

    /// Sends a PING and awaits its PONG.
    pub(crate) fn ping(&mut self, patience: Duration) -> io::Result<()> {
        self.stream.write_all(b"PING\r\n")?;
        self.pong(patience)
    }

    pub(crate) fn pong(&mut self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))?;
        while self.line()? != "PONG" {}
        Ok(())
    }

    pub(crate) fn request(&mut self, subject: &str, payload: &str) -> io::Result<Value> {
        self.stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            self.stream,
            "PUB {subject} _INBOX.test {}\r\n{payload}\r\n",
            payload.len()
        )?;
        loop {
            let line = self.line()?;
            if line == "PING" {
                self.stream.write_all(b"PONG\r\n")?;
            } else if line.starts_with("MSG ") {
                let length = line
                    .rsplit(' ')
                    .next()
                    .and_then(|length| length.parse::<usize>().ok());
                let mut body = vec![0; length.unwrap_or_default() + 2];
                self.reader.read_exact(&mut body)?;
                return serde_json::from_slice(&body[..body.len() - 2]).map_err(io::Error::other);
            }
        }
    }

    /// Makes a stream of this name over `<name>.>`.
    pub(crate) fn create_stream(&mut self, name: &str, replicas: usize) {
        let config = json!({ "name": name, "subjects": [format!("{name}.>")], "num_replicas": replicas });
        let made = self
            .request(&format!("$JS.API.STREAM.CREATE.{name}"), &config.to_string())
            .unwrap();
        assert!(made["error"].is_null(), "{made}");
    }

    /// Publishes and returns the sequence of the acknowledgement.
    pub(crate) fn publish(&mut self, subject: &str, payload: &str) -> io::Result<u64> {
        let ack = self.request(subject, payload)?;
        ack["seq"]
            .as_u64()
            .ok_or_else(|| io::Error::other(ack.to_string()))
    }

    /// How many messages the stream holds; `None` while it is not there.
    pub(crate) fn messages(&mut self, stream: &str) -> Option<u64> {
        self.request(&format!("$JS.API.STREAM.INFO.{stream}"), "").ok()?["state"]["messages"].as_u64()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
