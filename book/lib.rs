//! The book: its blocks of Rust are the doc tests of this crate, and [`Page`] reads the other ones for the tests that compare
//! them with what the code says and prints.

use std::{fs, io, path::Path};

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The name of its file, such as `promises.md`.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// A fenced block of a page.
#[derive(Clone, Debug)]
pub struct Block {
    /// Where it begins, as `page.md:12`.
    pub place: String,
    /// What stands behind the fence, such as `rust,no_run` or `console`.
    pub language: String,
    /// What it shows.
    pub lines: Vec<String>,
    /// The comment right before it, which says what it is compared with.
    pub note: Option<String>,
}

impl Page {
    /// All pages, by name, without the table of contents.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn all() -> io::Result<Vec<Self>> {
        let mut pages = Vec::new();
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.ends_with(".md") && name != "SUMMARY.md" {
                let text = fs::read_to_string(path)?;
                pages.push(Self { name, text });
            }
        }
        pages.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(pages)
    }

    /// Its blocks, in their order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        let mut note = None;
        for (index, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.lines.push(line.to_owned()),
                (None, Some(language)) => {
                    open = Some(Block {
                        place: format!("{}:{}", self.name, index + 1),
                        language: language.to_owned(),
                        lines: Vec::new(),
                        note: note.take(),
                    });
                }
                (None, None) if line.is_empty() => {}
                (None, None) => {
                    let comment = line
                        .strip_prefix("<!-- ")
                        .and_then(|line| line.strip_suffix(" -->"));
                    note = comment.map(str::to_owned);
                }
            }
        }
        blocks
    }
}

/// Getting started.
#[cfg(doctest)]
#[doc = include_str!("src/getting-started.md")]
pub mod getting_started {}

/// Delivery and its promises.
#[cfg(doctest)]
#[doc = include_str!("src/delivery.md")]
pub mod delivery {}

/// Failures and dead letters.
#[cfg(doctest)]
#[doc = include_str!("src/failures.md")]
pub mod failures {}

/// When the compiler complains.
#[cfg(doctest)]
#[doc = include_str!("src/compiler.md")]
pub mod compiler {}

/// Versions and schemas.
#[cfg(doctest)]
#[doc = include_str!("src/versions.md")]
pub mod versions {}

/// Telemetry.
#[cfg(doctest)]
#[doc = include_str!("src/telemetry.md")]
pub mod telemetry {}
