//! `#[derive(FromRef)]`.

#[cfg(test)]
mod tests;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Data, DataStruct, DeriveInput, Error, Field, Ident, Member, Meta, Result, Type, spanned::Spanned};

use crate::{attributes, generics};

/// An impl for each field's type; `root` is the crate of the trait.
pub(crate) fn expand(input: &DeriveInput, root: &TokenStream) -> Result<TokenStream> {
    let state = &input.ident;
    let Data::Struct(DataStruct { fields, .. }) = &input.data else {
        let text = format!(
            "`{state}` is no struct, and a service's state is one: put what handlers take in its fields"
        );
        return Err(Error::new(state.span(), text));
    };
    generics::refuse("a service's state", &input.generics)?;
    let mut taken: Vec<(Member, &Type)> = Vec::new();
    for (field, member) in fields.iter().zip(fields.members()) {
        if is_skipped(field)? {
            continue;
        }
        if let Some((first, _)) = taken.iter().find(|(_, ty)| text(ty) == text(&field.ty)) {
            return Err(Error::new_spanned(
                &field.ty,
                format!(
                    "field `{}` has this type too, and a handler takes by type: \
                     wrap one in a type of its own, or put `#[from_ref(skip)]` on it",
                    first.to_token_stream()
                ),
            ));
        }
        taken.push((member, &field.ty));
    }
    Ok(taken
        .iter()
        .map(|(member, ty)| part(state, member, ty, root))
        .collect())
}

fn part(state: &Ident, member: &Member, ty: &Type, root: &TokenStream) -> TokenStream {
    // A field that cannot be cloned is reported at its type.
    let span = Span::call_site().located_at(ty.span());
    let clone = quote_spanned!(span=> ::core::clone::Clone::clone(&state.#member));
    quote! {
        #[automatically_derived]
        impl #root::FromRef<#state> for #ty {
            fn from_ref(state: &#state) -> Self {
                #clone
            }
        }
    }
}

fn is_skipped(field: &Field) -> Result<bool> {
    let mut skipped = false;
    let attribute = attributes::read("from_ref", &field.attrs, |name, meta| {
        if name != "skip" {
            return Err(attributes::unknown("from_ref", name, &["skip"], meta));
        }
        skipped = true;
        Ok(())
    })?;
    match attribute {
        Some(attribute) if matches!(attribute.meta, Meta::Path(_)) => {
            Err(Error::new_spanned(attribute, "write `#[from_ref(skip)]`"))
        }
        _ => Ok(skipped),
    }
}

fn text(ty: &Type) -> String {
    ty.to_token_stream().to_string()
}
