//! Lists of names in error messages, and which of them was meant.

/// The one of `names` that `wrong` is probably a slip of: at most a third of its letters differ.
pub(crate) fn closest<'n>(wrong: &str, names: &[&'n str]) -> Option<&'n str> {
    let (distance, name) = names.iter().map(|name| (distance(wrong, name), *name)).min()?;
    (distance <= wrong.chars().count().max(3) / 3).then_some(name)
}

/// "`a`", "`a` and `b`", "`a`, `b` and `c`".
pub(crate) fn list(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Levenshtein's: how many letters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<_> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_slip_and_nothing_far_fetched() {
        assert_eq!(closest("ordr_id", &["amount", "order_id"]), Some("order_id"));
        assert_eq!(closest("subjct", &["subject", "key"]), Some("subject"));
        assert_eq!(closest("colour", &["amount", "order_id"]), None);
        assert_eq!(closest("id", &["no"]), None);
        assert_eq!(closest("id", &[]), None);
    }

    #[test]
    fn counts_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn lists_as_people_do() {
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
