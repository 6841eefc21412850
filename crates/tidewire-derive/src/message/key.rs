//! The field that holds the key.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Fields, Ident, Result, ext::IdentExt};

use crate::closest::{closest, list};

/// `Message::key`, which gives the text of the field `key`.
pub(super) fn method(key: &Ident, message: &Ident, fields: &Fields, has_entity: bool) -> Result<TokenStream> {
    let mut field = find(key, message, fields)?.clone();
    if !has_entity {
        let text = "a key is the id of an entity, and the subject names none: \
            write `<domain>.<context>.<entity>.<action>`, or remove `key`";
        return Err(Error::new(key.span(), text));
    }
    // A field that cannot be shown as text is reported where the key is named.
    let span = Span::call_site().located_at(key.span());
    field.set_span(span);
    let text = quote_spanned!(span=> ::std::string::ToString::to_string(&self.#field));
    Ok(quote! {
        fn key(&self) -> ::core::option::Option<::std::string::String> {
            ::core::option::Option::Some(#text)
        }
    })
}

fn find<'f>(key: &Ident, message: &Ident, fields: &'f Fields) -> Result<&'f Ident> {
    let refuse = |text: String| Err(Error::new(key.span(), text));
    if matches!(fields, Fields::Unnamed(_)) {
        return refuse(format!(
            "a key is a named field, and those of `{message}` have no names: give them names"
        ));
    }
    let names: Vec<&Ident> = fields.iter().filter_map(|field| field.ident.as_ref()).collect();
    if let Some(field) = names.iter().find(|field| field.unraw() == key.unraw()) {
        return Ok(field);
    }
    let texts: Vec<_> = names.iter().map(|field| field.unraw().to_string()).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    match closest(&key.to_string(), &texts) {
        _ if texts.is_empty() => refuse(format!("`{message}` has no field: add one named `{key}`")),
        Some(meant) => refuse(format!(
            "`{message}` has no field `{key}`; did you mean `{meant}`? it has {}",
            list(&texts)
        )),
        None => refuse(format!(
            "`{message}` has no field `{key}`; it has {}",
            list(&texts)
        )),
    }
}
