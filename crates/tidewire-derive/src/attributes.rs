//! Reading `#[event(name = value, …)]` and its kin.

use proc_macro2::TokenTree;
use syn::{
    Attribute, Error, Ident, Meta, Result, Token, ext::IdentExt, meta::ParseNestedMeta, parse::Parse,
    spanned::Spanned,
};

use crate::closest::{closest, list};

/// Hands each `name = value` in the `attribute`s to `take`, and refuses a name that comes twice.
///
/// Returns the attribute itself, or `None` where there is none.
pub(crate) fn read<'a>(
    attribute: &str,
    attributes: &'a [Attribute],
    mut take: impl FnMut(&str, &ParseNestedMeta<'_>) -> Result<()>,
) -> Result<Option<&'a Attribute>> {
    let mut seen: Vec<String> = Vec::new();
    let mut found = None;
    for each in attributes.iter().filter(|each| each.path().is_ident(attribute)) {
        found = Some(each);
        // `#[event]` alone says as little as no attribute; what is missing is named by the caller.
        if matches!(each.meta, Meta::Path(_)) {
            continue;
        }
        refuse_nameless(attribute, each)?;
        each.parse_nested_meta(|meta| {
            let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            if seen.contains(&name) {
                return Err(meta.error(format!("`{name}` is given twice: keep one of them")));
            }
            take(&name, &meta)?;
            seen.push(name);
            Ok(())
        })?;
    }
    Ok(found)
}

/// The value after `name =`; `form` says what belongs there and shows it.
pub(crate) fn value<T: Parse>(meta: &ParseNestedMeta<'_>, form: &str) -> Result<T> {
    let input = meta.value().map_err(|_| Error::new(meta.path.span(), form))?;
    let span = input.span();
    let value = input.parse().map_err(|_| Error::new(span, form))?;
    if input.is_empty() || input.peek(Token![,]) {
        Ok(value)
    } else if input.peek(Ident::peek_any) {
        Err(input.error("put a comma before this"))
    } else {
        Err(input.error(form))
    }
}

/// Refuses `#[event("…")]` and `#[event = "…"]`, for which syn has no remedy.
fn refuse_nameless(attribute: &str, each: &Attribute) -> Result<()> {
    let nameless = match &each.meta {
        Meta::NameValue(_) => true,
        Meta::List(list) => matches!(
            list.tokens.clone().into_iter().next(),
            Some(TokenTree::Literal(_))
        ),
        Meta::Path(_) => false,
    };
    if nameless {
        let text = format!("a value has its name before it: write `#[{attribute}(name = value, …)]`");
        return Err(Error::new_spanned(each, text));
    }
    Ok(())
}

/// The error of a name that the attribute does not have.
pub(crate) fn unknown(attribute: &str, name: &str, known: &[&str], meta: &ParseNestedMeta<'_>) -> Error {
    let meant = closest(name, known)
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default();
    let known = list(known);
    meta.error(format!(
        "`#[{attribute}(…)]` takes {known}, and no `{name}`{meant}"
    ))
}
