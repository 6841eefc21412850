//! JSON as it stands in an attribute: `[{"op": "add", "path": "/lines", "value": []}]`.

use serde_json::{Number, Value};
use syn::{
    Error, Ident, LitBool, LitFloat, LitInt, LitStr, Result, Token, braced, bracketed,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    token,
};

/// One JSON value.
pub(super) struct Json(pub(super) Value);

impl Parse for Json {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let content;
        let value = if input.peek(token::Bracket) {
            bracketed!(content in input);
            let items = Punctuated::<Json, Token![,]>::parse_terminated(&content)?;
            items.into_iter().map(|Json(item)| item).collect()
        } else if input.peek(token::Brace) {
            braced!(content in input);
            let members = Punctuated::<Member, Token![,]>::parse_terminated(&content)?;
            members.into_iter().map(|Member(member)| member).collect()
        } else if input.peek(LitStr) {
            Value::String(input.parse::<LitStr>()?.value())
        } else if input.peek(LitBool) {
            Value::Bool(input.parse::<LitBool>()?.value)
        } else if input.peek(Ident::peek_any) {
            let word: Ident = input.call(Ident::parse_any)?;
            if word != "null" {
                return Err(Error::new(word.span(), JSON));
            }
            Value::Null
        } else {
            Value::Number(number(input)?)
        };
        Ok(Self(value))
    }
}

struct Member((String, Value));

impl Parse for Member {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name: LitStr = input.parse().map_err(|error| Error::new(error.span(), JSON))?;
        input.parse::<Token![:]>()?;
        let Json(value) = input.parse()?;
        Ok(Self((name.value(), value)))
    }
}

fn number(input: ParseStream<'_>) -> Result<Number> {
    let at = input.span();
    let sign = if input.parse::<Option<Token![-]>>()?.is_some() {
        "-"
    } else {
        ""
    };
    let digits = if input.peek(LitFloat) {
        input.parse::<LitFloat>()?.base10_digits().to_owned()
    } else if input.peek(LitInt) {
        input.parse::<LitInt>()?.base10_digits().to_owned()
    } else {
        return Err(Error::new(at, JSON));
    };
    format!("{sign}{digits}")
        .parse()
        .map_err(|_| Error::new(at, JSON))
}

const JSON: &str = "this is no JSON: write text in double quotes, a number, `true`, `false`, `null`, `[…]` or `{\"name\": …}`";
