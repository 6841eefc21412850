//! What stands in `#[event(…)]`, `#[command(…)]` and `#[query(…)]`.

use syn::{
    DeriveInput, Error, Ident, LitInt, LitStr, Result, Type,
    ext::IdentExt,
    meta::ParseNestedMeta,
    parse::{Parse, ParseStream},
};

use super::older::{self, Older};
use crate::{attributes, kind::Kind};

pub(super) struct MessageAttributes {
    pub(super) subject: LitStr,
    pub(super) key: Option<Ident>,
    pub(super) version: u32,
    pub(super) codec: Option<Ident>,
    pub(super) reply: Option<Type>,
    pub(super) family: Option<Type>,
    pub(super) older: Older,
}

impl MessageAttributes {
    pub(super) fn read(kind: Kind, input: &DeriveInput) -> Result<Self> {
        let (mut subject, mut key, mut version, mut reply, mut family) = (None, None, 1, None, None);
        let mut older = Older::default();
        let mut codec = None;
        let attribute = attributes::read(kind.attribute(), &input.attrs, |name, meta| {
            match (name, kind) {
                ("subject", _) => subject = Some(attributes::value(meta, SUBJECT)?),
                ("key", _) => key = Some(attributes::value::<Field>(meta, KEY)?.0),
                ("version", _) => version = read_version(meta)?,
                ("from", _) => older.from = Some(attributes::value(meta, FROM)?),
                ("patch", _) => older.patch = Some(older::steps(meta)?),
                ("codec", _) => codec = Some(read_codec(meta)?),
                ("reply", Kind::Command | Kind::Query) => reply = Some(attributes::value(meta, REPLY)?),
                ("family", Kind::Event) => family = Some(attributes::value(meta, FAMILY)?),
                ("reply", Kind::Event) => return Err(meta.error(REPLY_ON_EVENT)),
                ("family", _) => return Err(meta.error(FAMILY_ON_REQUEST)),
                _ => return Err(attributes::unknown(kind.attribute(), name, kind.options(), meta)),
            }
            Ok(())
        })?;
        let subject = subject.ok_or_else(|| {
            let (name, at) = (&input.ident, kind.attribute());
            match attribute {
                None => Error::new(
                    name.span(),
                    format!(
                        "`{name}` has no subject: add `#[{at}(subject = \"domain.context.entity.action\")]`"
                    ),
                ),
                Some(attribute) => Error::new_spanned(
                    attribute,
                    format!(
                        "no subject is given: write `#[{at}(subject = \"domain.context.entity.action\", …)]`"
                    ),
                ),
            }
        })?;
        Ok(Self {
            subject,
            key,
            version,
            codec,
            reply,
            family,
            older,
        })
    }
}

const SUBJECT: &str = "a subject is text in quotes: write `subject = \"domain.context.entity.action\"`";
const KEY: &str = "a key is the name of one field, without quotes: write `key = order_id`";
const VERSION: &str = "a version is a whole number from 1 to 4294967295: write `version = 2`";
const FROM: &str = "the version before is a type: write `from = OrderPlacedV1`";
const CODEC: &str =
    "a codec is `msgpack` or `protobuf`, without quotes: write `codec = msgpack`; JSON needs no such line";
const REPLY: &str = "a reply is a type: write `reply = Receipt`";
const FAMILY: &str = "a family is the enum of an entity's events: write `family = PaymentEvent`";
const REPLY_ON_EVENT: &str =
    "nobody answers an event, so it has no `reply`: remove it, or derive `Command` or `Query`";
const FAMILY_ON_REQUEST: &str = "only events are in a family: remove `family`, or derive `Event`";

fn read_version(meta: &ParseNestedMeta<'_>) -> Result<u32> {
    let literal: LitInt = attributes::value(meta, VERSION)?;
    match literal.base10_parse() {
        Ok(0) | Err(_) => Err(Error::new(literal.span(), VERSION)),
        Ok(version) => Ok(version),
    }
}

/// The constructor of a codec.
fn read_codec(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    let name: Ident = attributes::value(meta, CODEC)?;
    let constructor = match name.to_string().as_str() {
        "msgpack" => "message_pack",
        "protobuf" => "protobuf",
        _ => return Err(Error::new(name.span(), CODEC)),
    };
    Ok(Ident::new(constructor, name.span()))
}

/// The name of a field; a keyword is one where the field is written `r#type`.
struct Field(Ident);

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        input.call(Ident::parse_any).map(Self)
    }
}
