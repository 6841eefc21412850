//! The blocks of the pages are compiled, run or compared with the file that they are from; what is neither Rust, nor a
//! command, nor from a file is a form to fill in, such as lines of a Cargo.toml, and nobody compares it.
//!
//! Blocks of Rust are doc tests of this crate. `<!-- from PATH -->` before a block says that its lines stand in that file in
//! this order; a line `…` stands for what is left out. What the command prints is compared by the tests of `tidewire-cli`.

#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::{collections::BTreeSet, fs, path::Path};

use tidewire_book::{Block, Page};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn pages() -> Vec<Page> {
    Page::all().unwrap()
}

fn blocks() -> Vec<Block> {
    pages().iter().flat_map(Page::blocks).collect()
}

#[test]
fn the_table_of_contents_has_every_page() {
    let summary = fs::read_to_string(root().join("book/src/SUMMARY.md")).unwrap();
    for page in pages() {
        assert!(
            summary.contains(&format!("]({})", page.name)),
            "SUMMARY.md has no {}",
            page.name
        );
    }
}

#[test]
fn every_link_between_pages_leads_to_a_heading() {
    let pages = pages();
    let anchor = |heading: &str| heading.to_lowercase().replace(' ', "-");
    for page in &pages {
        for link in page.text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let Some(target) = pages.iter().find(|page| page.name == file) else {
                assert!(heading.is_empty(), "{}: no page is {link}", page.name);
                continue; // whether the file is there is looked at by `.ci/run house`
            };
            let headings = target.text.lines().filter(|line| line.starts_with('#'));
            let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
            assert!(
                heading.is_empty() || anchors.any(|anchor| anchor == heading),
                "{}: no heading is {link}",
                page.name
            );
        }
    }
}

/// `ignore` would compile nothing, and a fence without a word is Rust to one tool and text to another.
#[test]
fn every_block_says_what_it_is() {
    for block in blocks() {
        assert!(
            [
                "rust",
                "rust,no_run",
                "rust,compile_fail",
                "console",
                "text",
                "toml",
                "json"
            ]
            .contains(&&*block.language),
            "{}: `{}` is not checked by anything",
            block.place,
            block.language
        );
    }
}

#[test]
fn every_page_with_rust_is_a_doc_test() {
    let lib = fs::read_to_string(root().join("book/lib.rs")).unwrap();
    for page in pages() {
        let has_rust = page
            .blocks()
            .iter()
            .any(|block| block.language.starts_with("rust"));
        let included = format!("include_str!(\"src/{}\")", page.name);
        assert!(
            !has_rust || lib.contains(&included),
            "add {included} to book/lib.rs"
        );
    }
}

#[test]
fn what_is_from_a_file_stands_there() {
    let mut compared = 0;
    for block in blocks() {
        let Some(path) = block.note.as_deref().and_then(|note| note.strip_prefix("from ")) else {
            continue;
        };
        let file = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let lines: Vec<_> = block
            .lines
            .iter()
            .map(|line| shown(line, &block).to_owned())
            .collect();
        if let Err(line) = stands_in(&lines, &file) {
            panic!(
                "{}: this line is not in {path}, or not there:\n{line}",
                block.place
            );
        }
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}

/// A line of Rust that readers do not see begins with a `#`, and so does the comment that stands for what is left out.
fn shown<'a>(line: &'a str, block: &Block) -> &'a str {
    if !block.language.starts_with("rust") {
        return line;
    }
    match line.strip_prefix("# ").unwrap_or(line) {
        "#" => "",
        "// …" => "…",
        line => line,
    }
}

/// Whether the lines are in the file, one right behind the other but for a line `…`; else the first that is not.
fn stands_in<'a>(lines: &'a [String], file: &str) -> Result<(), &'a str> {
    // The header of an example shows its output in comments.
    let file: Vec<_> = file
        .lines()
        .map(|line| line.strip_prefix("//! ").unwrap_or(line))
        .collect();
    let mut at = 0;
    for part in lines.split(|line| line.trim() == "…") {
        let found = (at..=file.len().saturating_sub(part.len()))
            .find(|&start| part.iter().zip(&file[start..]).all(|(line, other)| line == other));
        let Some(start) = found else {
            let known = |line: &&String| !file[at..].contains(&&***line);
            return Err(part.iter().find(known).unwrap_or(&part[0]));
        };
        at = start + part.len();
    }
    Ok(())
}

#[test]
fn a_block_that_is_not_in_its_file_is_found() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let file = "a\n//! b\nc\nd\n";
    assert_eq!(stands_in(&lines("a\nb"), file), Ok(()));
    assert_eq!(stands_in(&lines("a\n…\nd"), file), Ok(()));
    assert_eq!(stands_in(&lines("a\nx"), file), Err("x"));
    assert_eq!(
        stands_in(&lines("a\nc"), file),
        Err("a"),
        "something is left out and not said"
    );
    assert_eq!(stands_in(&lines("d\n…\na"), file), Err("a"), "the order");
}

/// A mistake that has a snapshot has its place in the chapter; one in a command's handler says the same as in an event's.
#[test]
fn every_mistake_is_in_the_chapter() {
    let all = pages();
    let chapter = all.iter().find(|page| page.name == "compiler.md").unwrap();
    let shown: BTreeSet<_> = chapter
        .blocks()
        .into_iter()
        .filter_map(|block| block.note)
        .collect();
    for entry in fs::read_dir(root().join("crates/compile-errors/tests/compile_fail")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".stderr") || name.ends_with("_in_command.stderr") {
            continue;
        }
        let note = format!("from crates/compile-errors/tests/compile_fail/{name}");
        assert!(
            shown.contains(&note),
            "compiler.md has no block `<!-- {note} -->`"
        );
    }
}
