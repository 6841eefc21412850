//! The subject of a message, held to the grammar.

use syn::{Error, LitStr, Result};
use tidewire_subject::{MessageName, NameError};

/// The name in the literal.
pub(super) fn check(literal: &LitStr) -> Result<MessageName> {
    let text = literal.value();
    let refuse = |why: String| Err(Error::new(literal.span(), why));
    if text.contains(['{', '<', '$']) {
        return refuse(format!("{text:?} has a placeholder; {KEY}"));
    }
    if text.contains(['*', '>']) {
        return refuse(format!(
            "{text:?} has a wildcard, and a message has exactly one subject: write each word, such as \
             `orders.payments.payment.processed`; wildcards are for the filter of a handler"
        ));
    }
    match MessageName::parse(&text) {
        Ok(name) => Ok(name),
        Err(error @ NameError::TooManyWords { .. }) => refuse(format!("{error}; {KEY}")),
        Err(error) => refuse(error.to_string()),
    }
}

const KEY: &str = "the key is no part of the subject here: leave it out, and write `key = …` with its field";
