//! Asking a service's monitor.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The status and the body of an answer; `None` where nobody listens.
pub(crate) async fn try_get(address: SocketAddr, path: &str, accept: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    try_get(address, path, "*/*").await.unwrap()
}

/// What `/metrics` shows of one service: the values by name and labels.
pub(crate) async fn figures(address: SocketAddr, service: &str) -> BTreeMap<String, f64> {
    let (status, text) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    series(&text, service)
}

/// What a page of Prometheus shows of one service.
pub(crate) fn series(text: &str, service: &str) -> BTreeMap<String, f64> {
    let ours = format!("service=\"{service}\"");
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(&ours));
    let figures = lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.to_owned(), value.parse().ok()?))
    });
    figures.collect()
}

/// The sum of the figures whose series hold all of these.
pub(crate) fn sum(figures: &BTreeMap<String, f64>, parts: &[&str]) -> f64 {
    let found = figures
        .iter()
        .filter(|(series, _)| parts.iter().all(|part| series.contains(part)));
    found.map(|(_, value)| value).sum()
}
