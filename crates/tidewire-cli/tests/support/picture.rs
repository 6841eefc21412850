//! The README's picture of the demo is what the demo prints, but for figures, names and the number of seconds.

use crate::support::Demo;

const README: &str = include_str!("../../../../README.md");

/// A line with everything left out that differs from run to run.
fn constant(line: &str) -> String {
    let mut kept = String::new();
    for word in line.split_whitespace() {
        let word = match word.trim_end_matches([',', '.']) {
            _ if word.starts_with('…') && word.len() > '…'.len_utf8() + 1 => "…",
            "ms" | "s" => "t",
            path if path.contains("tidewire-demo-") => "FOLDER",
            _ => word,
        };
        kept.extend(word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }));
        while kept.ends_with("00") {
            kept.pop();
        }
        kept.push(' ');
    }
    // Numbers of any length are one digit by now, inside a word too.
    while kept.contains("00") {
        kept = kept.replace("00", "0");
    }
    kept.replace("0.0", "0").trim_end().to_owned()
}

#[test]
fn the_readmes_picture_is_what_the_demo_prints() {
    let picture = README.split("<!-- demo -->").nth(1).unwrap_or_default();
    let shown = picture.split("```").nth(1).unwrap_or_default();
    let mut shown = shown.lines().skip(1);
    let command = shown.next().unwrap_or_default();
    assert_eq!(
        command,
        "$ cargo run --release --bin tidewire -- demo --seconds 10"
    );
    let ended = Demo::start(&["--seconds", "10"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let printed: Vec<_> = ended.output.lines().map(constant).collect();
    for line in shown {
        let line = constant(line);
        assert!(
            printed.contains(&line),
            "the README shows {line:?}, and the demo printed {printed:#?}"
        );
    }
}
