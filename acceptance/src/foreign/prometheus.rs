//! A real Prometheus, and its tool.

use std::{
    error::Error,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::{program::last_lines, shop::Process};

/// How long the tool may take; it takes a fraction of a second.
const LIMIT: Duration = Duration::from_secs(30);
/// How long Prometheus may take to answer its first question.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Prometheus {
    pub(crate) server: PathBuf,
    pub(crate) tool: PathBuf,
}

/// A running one; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Scraping<'a> {
    programs: &'a Prometheus,
    url: String,
    _child: Child,
}

impl Prometheus {
    /// Runs the tool; what it complains of, or nothing.
    pub(crate) async fn tool(&self, arguments: &[&str], input: &str) -> Result<String, Box<dyn Error>> {
        let output = self.run(arguments, input).await?;
        let said = last_lines(&[output.stdout, output.stderr].concat());
        // It complains of metrics with a status of 0 as well.
        Ok(if output.status.success() && !is_complaint(&said) {
            String::new()
        } else {
            format!("{}: {said}", output.status)
        })
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Result<Output, Box<dyn Error>> {
        let mut tool = Command::new(&self.tool)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = tool.stdin.take() {
            // One that does not read has said why.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        Ok(timeout(LIMIT, tool.wait_with_output()).await??)
    }

    /// Scrapes the shop each second.
    pub(crate) async fn scrape<'a>(
        &'a self,
        shop: &[Process],
        folder: &Path,
        rules: &Path,
    ) -> Result<Scraping<'a>, Box<dyn Error>> {
        let targets: Vec<_> = shop.iter().map(|process| process.address.to_string()).collect();
        let rules = rules.to_string_lossy();
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{rules:?}]\n\
             scrape_configs:\n  - job_name: shop\n    static_configs: [{{ targets: {targets:?} }}]\n"
        );
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(&self.server)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let scraping = Scraping {
            programs: self,
            url: format!("http://{address}"),
            _child: child,
        };
        let deadline = Instant::now() + READY_WITHIN;
        while let Err(error) = scraping.ask("vector(1)").await {
            if Instant::now() > deadline {
                return Err(format!("Prometheus does not answer after {READY_WITHIN:?}: {error}").into());
            }
            sleep(Duration::from_millis(200)).await;
        }
        Ok(scraping)
    }
}

impl Scraping<'_> {
    /// The answer to a query of the moment: the labels and the value of each series.
    pub(crate) async fn ask(&self, query: &str) -> Result<Vec<(Value, f64)>, Box<dyn Error>> {
        let arguments = ["query", "instant", "--format=json", &self.url, query];
        let output = self.programs.run(&arguments, "").await?;
        if !output.status.success() {
            return Err(last_lines(&[output.stdout, output.stderr].concat()).into());
        }
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        let series = answer.as_array().cloned().unwrap_or_default();
        let read = series.into_iter().filter_map(|series| {
            let value = series["value"][1].as_str()?.parse().ok()?;
            Some((series["metric"].clone(), value))
        });
        Ok(read.collect())
    }
}

/// Whether a line is one of the tool's linter, such as `name counter metrics should have "_total" suffix`.
fn is_complaint(said: &str) -> bool {
    said.lines()
        .any(|line| line.contains("should") || line.contains("error"))
}
