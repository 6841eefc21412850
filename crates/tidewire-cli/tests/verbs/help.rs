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
        &["pause", "--help"],
        &["resume", "--help"],
        &["breaker", "--help"],
        &["bench", "--help"],
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

/// The verbs that the help below `path` lists, but for `help` itself.
pub(crate) async fn listed(path: &[&str]) -> Vec<String> {
    let ran = ended(command(&[path, &["--help"]].concat())).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let Some((_, verbs)) = ran.stdout.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let verbs = verbs.lines().take_while(|line| !line.is_empty());
    verbs
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|verb| verb != "help")
        .collect()
}

/// Those that are listed are offered, a verb's own verbs too, and one that is hidden is not.
#[tokio::test]
async fn completions_offer_what_the_help_lists_for_every_shell() {
    let mut verbs = listed(&[]).await;
    for verb in verbs.clone() {
        verbs.extend(listed(&[&verb]).await);
    }
    for verb in ["demo", "pause", "bench", "diff", "replay", "install"] {
        assert!(verbs.iter().any(|listed| listed == verb), "{verb} is not listed");
    }
    for (shell, before, behind) in [
        ("bash", ",", ")"),
        ("elvish", "cand ", " '"),
        ("fish", "-a \"", "\""),
        ("powershell", "::new('", "', '"),
        ("zsh", "'", ":"),
    ] {
        let ran = ended(command(&["completions", shell])).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for verb in &verbs {
            let offer = format!("{before}{verb}{behind}");
            assert!(ran.stdout.contains(&offer), "{shell} does not offer {verb}");
        }
        assert!(
            !ran.stdout.contains("shop-service"),
            "{shell} offers what is hidden"
        );
    }
    let hidden = ended(command(&["shop-service", "--help"])).await;
    assert_eq!(hidden.code, Some(0), "it is there: {hidden:?}");
    let ran = ended(command(&["completions", "csh"])).await;
    assert_snapshot!("completions_of_an_unknown_shell", ran.shown(&[]));
}
