//! Where the generated code finds what it names.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

/// The crate of the messages' traits.
///
/// `tidewire-core` comes first: what has both as ordinary dependencies can name either, and a crate of contracts
/// that has `tidewire` only as a development or optional dependency cannot name that one.
pub(crate) fn messages() -> TokenStream {
    locate("tidewire-core")
        .or_else(|| locate("tidewire"))
        .unwrap_or_else(|| quote!(::tidewire))
}

/// The crate of the framework.
pub(crate) fn framework() -> TokenStream {
    locate("tidewire").unwrap_or_else(|| quote!(::tidewire))
}

/// The crate under the name that the user's `Cargo.toml` gives it; `None` where it is not there, or where another
/// build tool than Cargo runs.
fn locate(package: &str) -> Option<TokenStream> {
    let name = match crate_name(package).ok()? {
        // Tests, examples and doctests of the package see its library by name; the library itself does where it says
        // `extern crate self as …`.
        FoundCrate::Itself => package.replace('-', "_"),
        FoundCrate::Name(name) => name,
    };
    let name: Ident = syn::parse_str(&name).ok()?;
    Some(quote!(::#name))
}
