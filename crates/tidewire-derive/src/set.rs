//! `#[derive(EventSet)]`.

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Ident, Result, spanned::Spanned};

use crate::variants::{self, Member};

/// The impls of a set; `root` is the crate of their traits.
pub(crate) fn expand(input: &DeriveInput, root: &TokenStream) -> Result<TokenStream> {
    let members = variants::members("a set of events", input)?;
    Ok(impls(&input.ident, &members, root))
}

/// What a family has too.
pub(crate) fn impls(name: &Ident, members: &[Member<'_>], root: &TokenStream) -> TokenStream {
    let variants: Vec<_> = members.iter().map(|member| member.variant).collect();
    let events: Vec<_> = members.iter().map(|member| member.event).collect();
    let once = members
        .iter()
        .enumerate()
        .skip(1)
        .map(|(index, member)| once(name, index, member, root));
    quote! {
        #[automatically_derived]
        impl #root::EventSet for #name {
            const TYPES: &'static [#root::MessageType] = &[#(<#events as #root::Message>::TYPE),*];

            fn decode(
                encoded: #root::Encoded<'_>,
            ) -> ::core::result::Result<Self, #root::DecodeError> {
                #(if encoded.name == <#events as #root::Message>::TYPE.name {
                    return encoded.decode::<#events>().map(Self::#variants);
                })*
                ::core::result::Result::Err(#root::DecodeError::unknown(
                    encoded.name,
                    <Self as #root::EventSet>::TYPES,
                ))
            }

            fn json(
                encoded: #root::Encoded<'_>,
            ) -> ::core::result::Result<::std::boxed::Box<#root::__private::RawValue>, #root::DecodeError> {
                #(if encoded.name == <#events as #root::Message>::TYPE.name {
                    return encoded.json::<#events>();
                })*
                ::core::result::Result::Err(#root::DecodeError::unknown(
                    encoded.name,
                    <Self as #root::EventSet>::TYPES,
                ))
            }

            fn manifest() -> ::std::vec::Vec<(#root::MessageType, #root::MessageManifest)> {
                ::std::vec![
                    #((<#events as #root::Message>::TYPE, #root::MessageManifest::event::<#events>())),*
                ]
            }
        }
        #(
            #[automatically_derived]
            impl ::core::convert::From<#events> for #name {
                fn from(event: #events) -> Self {
                    Self::#variants(event)
                }
            }
        )*
        #(#once)*
    }
}

/// Two types may have one name, and only the first of them would ever be decoded.
fn once(name: &Ident, index: usize, member: &Member<'_>, root: &TokenStream) -> TokenStream {
    let text = format!(
        "the event in `{name}::{}` has the subject of an earlier variant: give it one of its own, or remove it",
        member.variant
    );
    quote_spanned! {member.event.span()=>
        const _: () = ::core::assert!(
            !#root::__private::name_is_repeated(<#name as #root::EventSet>::TYPES, #index),
            #text
        );
    }
}
