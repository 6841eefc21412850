//! None of the derived types is generic.

use syn::{Error, GenericParam, Generics, Result};

/// Refuses parameters; `what` is the thing that has none, with its article.
pub(crate) fn refuse(what: &str, generics: &Generics) -> Result<()> {
    match generics.params.first() {
        None => Ok(()),
        Some(GenericParam::Lifetime(_)) => Err(Error::new_spanned(
            &generics.params,
            format!("{what} has no lifetime parameters, it owns its data: write `String` for `&str`"),
        )),
        Some(_) => Err(Error::new_spanned(
            &generics.params,
            format!("{what} has no type parameters: write a type of its own for each"),
        )),
    }
}
