//! `#[derive(Event)]`, `#[derive(Command)]`, `#[derive(Query)]`.

mod attributes;
mod json;
mod key;
mod older;
mod subject;

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Ident, Result, Type};

use crate::{generics, kind::Kind};
use attributes::MessageAttributes;

/// The impls of a message; `root` is the crate of their traits.
pub(crate) fn expand(kind: Kind, input: &DeriveInput, root: &TokenStream) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(not_a_struct(kind, input));
    };
    generics::refuse("a message", &input.generics)?;
    let MessageAttributes {
        subject,
        key,
        version,
        codec,
        reply,
        family,
        older,
    } = MessageAttributes::read(kind, input)?;
    let has_entity = subject::check(&subject)?.has_entity();
    let key = key
        .map(|key| key::method(&key, &input.ident, &data.fields, has_entity))
        .transpose()?;

    let name = &input.ident;
    let variant = match kind {
        Kind::Event => quote!(Event),
        Kind::Command => quote!(Command),
        Kind::Query => quote!(Query),
    };
    let codec = codec.map(|codec| {
        quote! {
            const CODEC: ::core::option::Option<#root::Codec<Self>> =
                ::core::option::Option::Some(#root::Codec::#codec());
        }
    });
    let keyed = key.is_some();
    let reply = reply.map_or_else(|| quote!(()), |reply| quote!(#reply));
    let role = match kind {
        Kind::Event => event(name, keyed, family.as_ref(), root)?,
        Kind::Command => request(name, &quote!(CommandMessage), &reply, root),
        Kind::Query => request(name, &quote!(QueryMessage), &reply, root),
    };
    let read = older.method(version, root)?;
    // Whoever sends an older command is answered as everybody, and no older event gets past the event store.
    let same = match (kind, &family) {
        (Kind::Event, None) => quote!(FreeEvent),
        (Kind::Event, Some(family)) => quote!(FamilyEvent<Family = #family>),
        (Kind::Command | Kind::Query, _) => quote!(RequestMessage<Reply = #reply>),
    };
    let checks = older.checks(name, &same, root);
    Ok(quote! {
        #[automatically_derived]
        impl #root::Message for #name {
            const TYPE: #root::MessageType = #root::MessageType {
                kind: #root::Kind::#variant,
                name: #subject,
                version: #version,
                keyed: #keyed,
            };
            #codec
            #key
            #read
        }
        #role
        #checks
    })
}

fn event(name: &Ident, keyed: bool, family: Option<&Type>, root: &TokenStream) -> Result<TokenStream> {
    let (entity, role) = match family {
        None => (None, quote!(impl #root::FreeEvent for #name {})),
        Some(family) if keyed => {
            let entity = quote! {
                const ENTITY: ::core::option::Option<&'static str> =
                    ::core::option::Option::Some(<#family as #root::EventFamily>::ENTITY);
            };
            let role = quote!(impl #root::FamilyEvent for #name { type Family = #family; });
            (Some(entity), role)
        }
        Some(family) => {
            let text = "an event of a family is part of one entity's history, and its key says which entity's: \
                add `key = …` with the field that holds the id";
            return Err(Error::new_spanned(family, text));
        }
    };
    Ok(quote! {
        #[automatically_derived]
        impl #root::EventMessage for #name { #entity }
        #[automatically_derived]
        #role
    })
}

fn request(name: &Ident, role: &TokenStream, reply: &TokenStream, root: &TokenStream) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl #root::RequestMessage for #name {
            type Reply = #reply;
        }
        #[automatically_derived]
        impl #root::#role for #name {}
    }
}

fn not_a_struct(kind: Kind, input: &DeriveInput) -> Error {
    let (name, noun) = (&input.ident, kind.noun());
    let remedy = match kind {
        Kind::Event => {
            "derive `EventSet` for a choice of several events, and `Event` on the struct in each variant"
        }
        Kind::Command | Kind::Query => "write a struct for each, with a handler of its own",
    };
    Error::new(
        name.span(),
        format!("`{name}` is no struct, and {noun} is one: {remedy}"),
    )
}
