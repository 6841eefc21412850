//! How older versions of a message become this one.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Error, Ident, LitInt, Result, Token, Type,
    meta::ParseNestedMeta,
    parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

use super::json::Json;

/// What the attribute says of older versions.
#[derive(Default)]
pub(super) struct Older {
    /// The type of the version before.
    pub(super) from: Option<Type>,
    pub(super) patch: Option<Vec<Step>>,
}

/// A version, and the patch that makes its data that of the next one.
pub(super) struct Step {
    version: u32,
    at: Span,
    patch: String,
}

impl Parse for Step {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let form = |error: Error| Error::new(error.span(), PATCH);
        let version: LitInt = input.parse().map_err(form)?;
        input.parse::<Token![=]>().map_err(form)?;
        let at = input.span();
        let Json(patch) = input.parse()?;
        let text = patch.to_string();
        serde_json::from_value::<json_patch::Patch>(patch)
            .map_err(|error| Error::new(at, format!("{OPERATIONS}: {error}")))?;
        Ok(Self {
            version: version.base10_parse().map_err(form)?,
            at: version.span(),
            patch: text,
        })
    }
}

/// The steps in `patch(…)`.
pub(super) fn steps(meta: &ParseNestedMeta<'_>) -> Result<Vec<Step>> {
    let content;
    if !meta.input.peek(syn::token::Paren) {
        return Err(meta.error(PATCH));
    }
    parenthesized!(content in meta.input);
    if content.is_empty() {
        return Err(meta.error(PATCH));
    }
    let steps = Punctuated::<Step, Token![,]>::parse_terminated(&content)?;
    Ok(steps.into_iter().collect())
}

impl Older {
    /// `Message::older`, where an older version is read; `version` is the message's own.
    pub(super) fn method(&self, version: u32, root: &TokenStream) -> Result<Option<TokenStream>> {
        let body = match (&self.from, &self.patch) {
            (None, None) => return Ok(None),
            (Some(from), Some(_)) => {
                let from_text = text(from);
                let text = format!(
                    "`from` and `patch` are two ways to say how an older version is read: keep one of them; patches for \
                     what is older than `{from_text}` belong to `{from_text}`"
                );
                return Err(Error::new_spanned(from, text));
            }
            (Some(from), None) if version == 1 => return Err(Error::new_spanned(from, FIRST)),
            (Some(from), None) => {
                let of = quote_spanned!(from.span()=> of::<#from>());
                quote!(#root::Older::#of)
            }
            (None, Some(steps)) => {
                check(steps, version)?;
                let versions = steps.iter().map(|step| step.version);
                let patches = steps.iter().map(|step| &step.patch);
                quote! {
                    static PATCHES: #root::Patches = #root::Patches::new(&[#((#versions, #patches)),*]);
                    #root::Older::patched(&PATCHES)
                }
            }
        };
        Ok(Some(quote! {
            fn older() -> #root::Older<Self> {
                #body
            }
        }))
    }

    /// What holds of the version before, which is another type: the compiler has to look.
    pub(super) fn checks(&self, name: &Ident, same: &TokenStream, root: &TokenStream) -> TokenStream {
        let Some(from) = &self.from else {
            return TokenStream::new();
        };
        let old = text(from);
        let subject = format!(
            "`{old}` is another message than `{name}`: a version before has the same subject, and is an event, a command or \
             a query as it is"
        );
        let keyed =
            format!("one of `{old}` and `{name}` has a key: a message has one in every version or in none");
        let older = format!("`{old}` is not older than `{name}`: give `{name}` the higher `version`");
        let gap = format!(
            "between `{old}` and `{name}` a version is missing: write `from = …` with the type of the version right before \
             `{name}`, and let that one say `from = {old}`"
        );
        quote_spanned! {from.span()=>
            const _: () = {
                const OLD: #root::MessageType = <#from as #root::Message>::TYPE;
                const NEW: #root::MessageType = <#name as #root::Message>::TYPE;
                ::core::assert!(#root::__private::is_same_message(&OLD, &NEW), #subject);
                ::core::assert!(OLD.keyed == NEW.keyed, #keyed);
                ::core::assert!(OLD.version < NEW.version, #older);
                ::core::assert!(OLD.version + 1 == NEW.version, #gap);
            };
            const _: () = {
                const fn is_alike<M: #root::#same>() {}
                is_alike::<#from>();
            };
        }
    }
}

/// That each step is there once, in order, and the last one makes `version`.
fn check(steps: &[Step], version: u32) -> Result<()> {
    for (index, step) in steps.iter().enumerate() {
        let refuse = |text: String| Err(Error::new(step.at, text));
        if version == 1 {
            return Err(Error::new(step.at, FIRST));
        }
        if step.version >= version {
            return refuse(format!(
                "version {} is not older than this one, which is {version}",
                step.version
            ));
        }
        if step.version == 0 {
            return refuse("versions count from 1".into());
        }
        let next = steps.get(index + 1).map_or(version, |next| next.version);
        if next <= step.version {
            return refuse("write the patches in the order of their versions, each version once".into());
        }
        if next > step.version + 1 {
            let missing = step.version + 1;
            return refuse(format!(
                "how version {missing} becomes the next one is not said: add `{missing} = [ … ]`; `[]` where nothing has to \
                 change"
            ));
        }
    }
    Ok(())
}

fn text(ty: &Type) -> String {
    ty.to_token_stream().to_string().replace(" :: ", "::")
}

const PATCH: &str = "patches have the version before them that they are for: write \
    `patch(1 = [{\"op\": \"move\", \"from\": \"/sum\", \"path\": \"/total\"}])`";
const OPERATIONS: &str = "a JSON patch (RFC 6902) is a list of operations, such as \
    `[{\"op\": \"move\", \"from\": \"/sum\", \"path\": \"/total\"}]`";
const FIRST: &str = "there is no version before 1: add `version = 2`";
