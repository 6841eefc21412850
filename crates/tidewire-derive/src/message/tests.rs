use quote::quote;

use super::*;

fn expanded(kind: Kind, input: TokenStream) -> String {
    expand(kind, &syn::parse2(input).unwrap(), &quote!(::tidewire))
        .unwrap()
        .to_string()
}

fn refusal(kind: Kind, input: TokenStream) -> String {
    expand(kind, &syn::parse2(input).unwrap(), &quote!(::tidewire))
        .unwrap_err()
        .to_string()
}

/// The refusal of an event with two fields and these attributes.
fn refused(mut attributes: TokenStream) -> String {
    attributes.extend(quote!(
        struct Placed {
            order_id: String,
            amount: u64,
        }
    ));
    refusal(Kind::Event, attributes)
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn an_event_has_the_three_impls_of_the_docs() {
    let written = expanded(
        Kind::Event,
        quote! {
            #[event(subject = "orders.checkout.order.placed", key = order_id, version = 2)]
            struct Placed { order_id: String }
        },
    );
    let by_hand = quote! {
        #[automatically_derived]
        impl ::tidewire::Message for Placed {
            const TYPE: ::tidewire::MessageType = ::tidewire::MessageType {
                kind: ::tidewire::Kind::Event,
                name: "orders.checkout.order.placed",
                version: 2u32,
                keyed: true,
            };
            fn key(&self) -> ::core::option::Option<::std::string::String> {
                ::core::option::Option::Some(::std::string::ToString::to_string(&self.order_id))
            }
        }
        #[automatically_derived]
        impl ::tidewire::EventMessage for Placed {}
        #[automatically_derived]
        impl ::tidewire::FreeEvent for Placed {}
    };
    assert_eq!(written, by_hand.to_string());
}

#[test]
fn an_event_of_a_family_is_not_free() {
    let attributes = quote!(#[event(subject = "a.b.c.d", key = id, family = Family)]);
    let written = expanded(Kind::Event, quote!(#attributes struct Done { id: u8 }));
    assert_says(
        &written,
        &[
            "FamilyEvent for Done { type Family = Family ; }",
            ":: core :: option :: Option :: Some (< Family as :: tidewire :: EventFamily > :: ENTITY)",
        ],
    );
    assert!(!written.contains("FreeEvent"), "{written}");
}

#[test]
fn a_request_without_a_reply_is_answered_with_nothing() {
    let written = expanded(
        Kind::Command,
        quote!(
            #[command(subject = "orders.payments.process")]
            struct Process;
        ),
    );
    assert_says(
        &written,
        &["type Reply = () ;", "CommandMessage for Process", "keyed : false"],
    );
    let query = quote!(
        #[query(subject = "a.b.c", reply = Option<Receipt>,)]
        struct Get;
    );
    assert_says(
        &expanded(Kind::Query, query),
        &["type Reply = Option < Receipt > ;", "QueryMessage for Get"],
    );
}

#[test]
fn a_key_may_be_a_raw_identifier() {
    for key in [quote!(type), quote!(r#type)] {
        let written = expanded(
            Kind::Event,
            quote!(
                #[event(subject = "a.b.c.d", key = #key)]
                struct Done {
                    r#type: u8,
                }
            ),
        );
        assert_says(&written, &["& self . r#type"]);
    }
}

#[test]
fn a_subject_is_asked_for() {
    let remedy = "#[event(subject = \"domain.context.entity.action\"";
    assert_says(&refused(quote!()), &["`Placed` has no subject", remedy]);
    assert_says(&refused(quote!(#[event])), &["no subject is given", remedy]);
    assert_says(
        &refused(quote!(#[event(version = 2)])),
        &["no subject is given", remedy],
    );
}

#[test]
fn a_subject_keeps_to_the_grammar() {
    let refused = |subject: &str| refused(quote!(#[event(subject = #subject)]));
    assert_says(&refused("orders.checkout.Order.placed"), &["'O'", "`order`"]);
    assert_says(&refused("orders.checkout.order.*"), &["wildcard", "filter"]);
    assert_says(&refused("orders.>"), &["wildcard"]);
    assert_says(
        &refused("orders.checkout.order.placed.{id}"),
        &["placeholder", "`key = …`"],
    );
    assert_says(
        &refused("orders.checkout.order.placed.id"),
        &["too many", "`key = …`"],
    );
}

#[test]
fn a_key_names_a_field() {
    let refused = |key: TokenStream| refused(quote!(#[event(subject = "a.b.c.d", key = #key)]));
    assert_says(
        &refused(quote!(ordr_id)),
        &["no field `ordr_id`", "mean `order_id`", "`order_id` and `amount`"],
    );
    assert_says(
        &refused(quote!(colour)),
        &["no field `colour`; it has `order_id` and `amount`"],
    );
    for wrong in [quote!("order_id"), quote!(0), quote!(order_id.id)] {
        assert_says(&refused(wrong), &["the name of one field, without quotes"]);
    }
    let tuple = quote!(
        #[event(subject = "a.b.c.d", key = id)]
        struct Done(String);
    );
    assert_says(&refusal(Kind::Event, tuple), &["those of `Done` have no names"]);
    let unit = quote!(
        #[event(subject = "a.b.c.d", key = id)]
        struct Done;
    );
    assert_says(&refusal(Kind::Event, unit), &["add one named `id`"]);
}

#[test]
fn a_key_is_of_an_entity_and_a_family_needs_one() {
    assert_says(
        &refused(quote!(#[event(subject = "a.b.c", key = order_id)])),
        &["the subject names none"],
    );
    assert_says(
        &refused(quote!(#[event(subject = "a.b.c.d", family = F)])),
        &["add `key = …`"],
    );
}

#[test]
fn a_version_counts_from_one() {
    for version in [
        quote!(0),
        quote!(-1),
        quote!("2"),
        quote!(1.5),
        quote!(4294967296),
        quote!(TWO),
    ] {
        let text = refused(quote!(#[event(subject = "a.b.c.d", version = #version)]));
        assert_says(&text, &["from 1 to 4294967295", "`version = 2`"]);
    }
}

#[test]
fn an_older_version_is_read_by_its_type_or_by_patches() {
    let typed = expanded(
        Kind::Event,
        quote!(
            #[event(subject = "a.b.c.d", version = 2, from = v1::Placed)]
            struct Placed;
        ),
    );
    let method = quote! {
        fn older() -> ::tidewire::Older<Self> {
            ::tidewire::Older::of::<v1::Placed>()
        }
    };
    assert_says(
        &typed,
        &[&method.to_string(), "is_alike < M : :: tidewire :: FreeEvent >"],
    );
    let patched = expanded(
        Kind::Command,
        quote!(
            #[command(subject = "a.b.c", version = 3, patch(
                1 = [],
                2 = [{"op": "add", "path": "/a", "value": [null, true, -1, 1.5, {"b": "\"c\""}]}],
            ))]
            struct Place;
        ),
    );
    let patch = r#"[{"op":"add","path":"/a","value":[null,true,-1,1.5,{"b":"\"c\""}]}]"#;
    let method = quote! {
        fn older() -> ::tidewire::Older<Self> {
            static PATCHES: ::tidewire::Patches = ::tidewire::Patches::new(&[(1u32, "[]"), (2u32, #patch)]);
            ::tidewire::Older::patched(&PATCHES)
        }
    };
    assert_says(&patched, &[&method.to_string()]);
}

#[test]
fn what_is_older_is_of_the_same_family_and_answered_alike() {
    let event = quote!(
        #[event(subject = "a.b.c.d", key = id, family = Family, version = 2, from = V1)]
        struct V2 {
            id: u8,
        }
    );
    assert_says(
        &expanded(Kind::Event, event),
        &["is_alike < M : :: tidewire :: FamilyEvent < Family = Family > >"],
    );
    let query = quote!(
        #[query(subject = "a.b.c", version = 2, from = V1)]
        struct V2;
    );
    assert_says(
        &expanded(Kind::Query, query),
        &["is_alike < M : :: tidewire :: RequestMessage < Reply = () > >"],
    );
}

#[test]
fn patches_lead_from_version_to_version() {
    for (attributes, said) in [
        (quote!(patch(1 = [])), "add `version = 2`"),
        (quote!(from = V1), "add `version = 2`"),
        (quote!(version = 2, from = V1, patch(1 = [])), "keep one of them"),
        (
            quote!(version = 2, patch(2 = [])),
            "version 2 is not older than this one, which is 2",
        ),
        (
            quote!(version = 4, patch(1 = [], 3 = [])),
            "how version 2 becomes the next one",
        ),
        (quote!(version = 3, patch(1 = [])), "add `2 = [ … ]`"),
        (quote!(version = 3, patch(2 = [], 1 = [])), "in the order"),
        (quote!(version = 3, patch(2 = [], 2 = [])), "each version once"),
        (quote!(version = 3, patch(0 = [])), "count from 1"),
        (quote!(version = 2, patch = 1), "write `patch(1 = "),
        (quote!(version = 2, patch()), "write `patch(1 = "),
        (quote!(version = 2, patch("1" = [])), "write `patch(1 = "),
        (quote!(version = 2, patch(1 = [nil])), "this is no JSON"),
        (quote!(version = 2, patch(1 = [{op: 1}])), "this is no JSON"),
        (
            quote!(version = 2, patch(1 = [{"op": "mov", "path": "/a"}])),
            "RFC 6902",
        ),
        (
            quote!(version = 2, patch(1 = [{"op": "remove"}])),
            "missing field `path`",
        ),
        (quote!(version = 2, patch(1 = "[]")), "RFC 6902"),
    ] {
        assert_says(
            &refused(quote!(#[event(subject = "a.b.c.d", #attributes)])),
            &[said],
        );
    }
}

#[test]
fn each_kind_has_its_own_options() {
    assert_says(
        &refused(quote!(#[event(subject = "a.b.c.d", reply = u8)])),
        &["nobody answers an event"],
    );
    let family = quote!(
        #[command(subject = "a.b.c.d", family = F)]
        struct Place;
    );
    assert_says(&refusal(Kind::Command, family), &["only events are in a family"]);
    let unknown = quote!(
        #[query(subjct = "a.b.c.d")]
        struct Get;
    );
    let known = "takes `subject`, `key`, `version`, `from`, `patch`, `codec` and `reply`, and no `subjct`; did you mean `subject`?";
    assert_says(&refusal(Kind::Query, unknown), &[known]);
}

#[test]
fn an_option_is_given_once_and_with_its_name() {
    let twice = "`version` is given twice";
    assert_says(
        &refused(quote!(#[event(subject = "a.b.c.d", version = 2, version = 3)])),
        &[twice],
    );
    assert_says(
        &refused(quote!(#[event(subject = "a.b.c.d", version = 2)] #[event(version = 2)])),
        &[twice],
    );
    assert_says(
        &refused(quote!(#[event("a.b.c.d")])),
        &["`#[event(name = value, …)]`"],
    );
    assert_says(
        &refused(quote!(#[event = "a.b.c.d"])),
        &["`#[event(name = value, …)]`"],
    );
    assert_says(
        &refused(quote!(#[event(subject = "a.b.c.d" key = order_id)])),
        &["put a comma"],
    );
}

#[test]
fn a_message_is_one_struct_without_parameters() {
    let choice = quote!(
        #[event(subject = "a.b.c.d")]
        enum Choice {
            A,
        }
    );
    assert_says(
        &refusal(Kind::Event, choice),
        &["`Choice` is no struct", "derive `EventSet`"],
    );
    let choice = quote!(
        #[command(subject = "a.b.c.d")]
        enum Choice {
            A,
        }
    );
    assert_says(
        &refusal(Kind::Command, choice),
        &["`Choice` is no struct", "a struct for each"],
    );
    let generic = quote!(
        #[event(subject = "a.b.c.d")]
        struct Done<T>(T);
    );
    assert_says(
        &refusal(Kind::Event, generic),
        &["a message has no type parameters"],
    );
    let borrowed = quote!(
        #[event(subject = "a.b.c.d")]
        struct Done<'a>(&'a str);
    );
    assert_says(
        &refusal(Kind::Event, borrowed),
        &["a message has no lifetime parameters", "`String`"],
    );
}

#[test]
fn a_codec_is_one_of_two() {
    let written = expanded(
        Kind::Event,
        quote!(
            #[event(subject = "a.b.c.d", codec = msgpack)]
            struct Done {}
        ),
    );
    let constant = "const CODEC : :: core :: option :: Option < :: tidewire :: Codec < Self >> = \
                    :: core :: option :: Option :: Some (:: tidewire :: Codec :: message_pack ()) ;";
    assert_says(&written, &[constant]);
    for other in [quote!(xml), quote!("msgpack"), quote!(json)] {
        let text = refused(quote!(#[event(subject = "a.b.c.d", codec = #other)]));
        assert_says(
            &text,
            &["a codec is `msgpack` or `protobuf`", "write `codec = msgpack`"],
        );
    }
}
