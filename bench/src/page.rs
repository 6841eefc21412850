//! The book's page of figures, which shows what the rows say.

use std::{fs, path::Path};

use tidewire::BoxError;

use crate::{
    figures,
    row::{self, Run},
};

/// From the root of the repository.
const PAGE: &str = "book/src/performance.md";
const BEGIN: &str = "<!-- figures: written by `just bench-page` -->\n";
const END: &str = "<!-- end of figures -->";

pub(crate) fn write(rows: &Path, further: &[&str]) -> Result<(), BoxError> {
    let page = fs::read_to_string(PAGE)
        .map_err(|error| format!("{PAGE}: {error}; run it at the root of the repository"))?;
    Ok(fs::write(PAGE, with(&page, &tables(rows, further)?)?)?)
}

pub(crate) fn check(rows: &Path, further: &[&str]) -> Result<(), BoxError> {
    let page = fs::read_to_string(PAGE)
        .map_err(|error| format!("{PAGE}: {error}; run it at the root of the repository"))?;
    if with(&page, &tables(rows, further)?)? == page {
        return Ok(());
    }
    Err(format!(
        "{PAGE} shows other figures than {}; run `just bench-page`",
        rows.display()
    )
    .into())
}

/// The table of the rows and, of further ones, those of what was measured.
fn tables(rows: &Path, further: &[&str]) -> Result<String, BoxError> {
    let mut text = figures::table(&known(rows)?);
    for rows in further.iter().map(Path::new).filter(|rows| rows.exists()) {
        text.push('\n');
        text += &figures::table(&known(rows)?);
    }
    Ok(text)
}

/// Rows of sources that can be looked at.
fn known(rows: &Path) -> Result<Run, BoxError> {
    let run = row::read(rows)?;
    if run.machine.commit.ends_with("-dirty") {
        let rows = rows.display();
        return Err(format!("{rows} is of sources that no commit has; commit them and measure again").into());
    }
    Ok(run)
}

fn with(page: &str, table: &str) -> Result<String, BoxError> {
    let parts = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{PAGE} has no `{}` and `{END}`", BEGIN.trim_end()))?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_written_and_writing_twice_changes_nothing() {
        let page = format!("# Speed\n\n{BEGIN}old\n{END}\n\nMore.\n");
        let once = with(&page, "| new |\n").unwrap();
        assert_eq!(once, format!("# Speed\n\n{BEGIN}\n| new |\n\n{END}\n\nMore.\n"));
        assert_eq!(with(&once, "| new |\n").unwrap(), once);
        assert!(with("# Speed\n", "").is_err());
    }
}
