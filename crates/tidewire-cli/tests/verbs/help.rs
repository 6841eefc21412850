//! What the command says of itself.

use insta::assert_snapshot;

use crate::run::{command, ended};

#[tokio::test]
async fn each_verb_explains_itself() {
    let mut text = String::new();
    for verb in [
        &["--help"][..],
        &["publish", "--help"],
        &["request", "--help"],
        &["tail", "--help"],
        &["lag", "--help"],
        &["consumers", "--help"],
        &["dlq", "--help"],
        &["dlq", "ls", "--help"],
        &["dlq", "show", "--help"],
        &["dlq", "replay", "--help"],
        &["dlq", "edit", "--help"],
        &["dlq", "discard", "--help"],
        &["dlq", "export", "--help"],
        &["dlq", "import", "--help"],
        &["explain", "--help"],
        &["manifest", "show", "--help"],
        &["manifest", "diff", "--help"],
        &["server", "--help"],
        &["server", "run", "--help"],
        &["server", "path", "--help"],
        &["completions", "--help"],
    ] {
        let ran = ended(command(verb)).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        text += &ran.shown(&[]);
        text += "\n\n";
    }
    assert_snapshot!("help", text);
}

#[tokio::test]
async fn completions_name_the_verbs_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = ended(command(&["completions", shell])).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for verb in [
            "publish",
            "request",
            "tail",
            "lag",
            "consumers",
            "dlq",
            "explain",
            "manifest",
            "server",
            "completions",
        ] {
            assert!(ran.stdout.contains(verb), "{shell} has no {verb}");
        }
    }
    let ran = ended(command(&["completions", "csh"])).await;
    assert_snapshot!("completions_of_an_unknown_shell", ran.shown(&[]));
}
