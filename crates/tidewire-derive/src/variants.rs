//! The variants of an enum of events.

use quote::ToTokens;
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Type, Variant, spanned::Spanned};

use crate::generics;

/// A variant and the event that it holds.
pub(crate) struct Member<'i> {
    pub(crate) variant: &'i Ident,
    pub(crate) event: &'i Type,
}

/// The members of the set or family `input`, each of them another type.
pub(crate) fn members<'i>(what: &str, input: &'i DeriveInput) -> Result<Vec<Member<'i>>> {
    let name = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(
            name.span(),
            format!(
                "{what} is an enum: write `enum {name} {{ … }}` with a variant for each event; \
                 one event alone needs none"
            ),
        ));
    };
    generics::refuse(what, &input.generics)?;
    if data.variants.is_empty() {
        let text = format!("`{name}` is empty: add a variant for each event, such as `Placed(OrderPlaced)`");
        return Err(Error::new(name.span(), text));
    }
    let mut members: Vec<Member<'i>> = Vec::new();
    for variant in &data.variants {
        let event = event(variant)?;
        if let Some(first) = members.iter().find(|member| same(member.event, event)) {
            return Err(Error::new_spanned(
                event,
                format!(
                    "`{}` is in `{name}::{}` already, and one event comes to one variant: remove one of them",
                    text(event),
                    first.variant
                ),
            ));
        }
        members.push(Member {
            variant: &variant.ident,
            event,
        });
    }
    Ok(members)
}

fn event(variant: &Variant) -> Result<&Type> {
    match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Ok(&fields.unnamed[0].ty),
        _ => Err(Error::new(
            variant.span(),
            format!(
                "a variant holds one event: write `{}(OrderPlaced)` with your event's type",
                variant.ident
            ),
        )),
    }
}

fn same(a: &Type, b: &Type) -> bool {
    text(a) == text(b)
}

fn text(ty: &Type) -> String {
    ty.to_token_stream().to_string().replace(" :: ", "::")
}
