//! `#[derive(EventFamily)]`.

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Error, Ident, LitStr, Result, spanned::Spanned};
use tidewire_subject::EntityName;

use crate::{
    attributes, set,
    variants::{self, Member},
};

/// The impls of a family; `root` is the crate of their traits.
pub(crate) fn expand(input: &DeriveInput, root: &TokenStream) -> Result<TokenStream> {
    let members = variants::members("a family of events", input)?;
    let entity = read_entity(input)?;
    let name = &input.ident;
    let set = set::impls(name, &members, root);
    let checks = members.iter().map(|member| belongs(name, &entity, member, root));
    Ok(quote! {
        #set
        #[automatically_derived]
        impl #root::EventFamily for #name {
            const ENTITY: &'static str = #entity;
        }
        #(#checks)*
    })
}

fn read_entity(input: &DeriveInput) -> Result<LitStr> {
    let mut entity: Option<LitStr> = None;
    let attribute = attributes::read("family", &input.attrs, |name, meta| {
        if name != "entity" {
            return Err(attributes::unknown("family", name, &["entity"], meta));
        }
        entity = Some(attributes::value(meta, ENTITY)?);
        Ok(())
    })?;
    let Some(entity) = entity else {
        let name = &input.ident;
        let text = format!(
            "`{name}` does not say whose events these are: add `#[family(entity = \"domain.context.entity\")]`"
        );
        return Err(match attribute {
            Some(attribute) => Error::new_spanned(attribute, text),
            None => Error::new(name.span(), text),
        });
    };
    match EntityName::parse(&entity.value()) {
        Ok(_) => Ok(entity),
        Err(error) => Err(Error::new(entity.span(), error)),
    }
}

const ENTITY: &str = "an entity is text in quotes: write `entity = \"domain.context.entity\"`";

/// That the event is of the entity, and says that it is of the family.
fn belongs(name: &Ident, entity: &LitStr, member: &Member<'_>, root: &TokenStream) -> TokenStream {
    let Member { variant, event } = member;
    let text = format!(
        "the event in `{name}::{variant}` is not of the entity `{entity}`: its subject must be `{entity}.<action>`",
        entity = entity.value()
    );
    quote_spanned! {event.span()=>
        const _: () = ::core::assert!(
            #root::__private::name_is_of_entity(<#event as #root::Message>::TYPE.name, #entity),
            #text
        );
        const _: () = {
            const fn says_so<E: #root::FamilyEvent<Family = #name>>() {}
            says_so::<#event>();
        };
    }
}
