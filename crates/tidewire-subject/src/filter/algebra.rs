//! Matching, and the relations of two filters: one walk over the tokens of both.

/// The filter holds a wildcard in at least one token; the subject may be any text.
pub(super) fn matches(filter: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in filter.split('.') {
        match (wanted, tokens.next()) {
            (_, None | Some("")) => return false,
            (">", Some(_)) => return tokens.all(|token| !token.is_empty()),
            ("*", Some(_)) => {}
            (literal, Some(token)) if literal == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

/// Literals are without number, so two sets meet exactly where no pair of tokens keeps them apart.
pub(super) fn overlaps(one: &str, other: &str) -> bool {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        match (ones.next(), others.next()) {
            (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

/// Literals are without number, so a wildcard is covered only by a wildcard that is at least as wide.
pub(super) fn covers(wide: &str, narrow: &str) -> bool {
    let (mut wides, mut narrows) = (wide.split('.'), narrow.split('.'));
    loop {
        match (wides.next(), narrows.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some(_), Some(">")) => return false,
            (Some("*"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}
