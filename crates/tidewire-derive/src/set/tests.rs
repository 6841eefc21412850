use super::*;

fn expanded(input: TokenStream) -> Result<String> {
    expand(&syn::parse2(input)?, &quote!(::tidewire)).map(|tokens| tokens.to_string())
}

fn refusal(input: TokenStream) -> String {
    expanded(input).unwrap_err().to_string()
}

#[test]
fn a_set_decodes_by_name_and_comes_from_each_event() {
    let written = expanded(quote!(
        enum News {
            Paid(Paid),
            Out(stock::Out),
        }
    ))
    .unwrap();
    let dispatch = quote! {
        if encoded.name == <stock::Out as ::tidewire::Message>::TYPE.name {
            return encoded.decode::<stock::Out>().map(Self::Out);
        }
    };
    assert!(written.contains(&dispatch.to_string()), "{written}");
    let from = quote! {
        impl ::core::convert::From<Paid> for News {
            fn from(event: Paid) -> Self {
                Self::Paid(event)
            }
        }
    };
    assert!(written.contains(&from.to_string()), "{written}");
}

#[test]
fn every_name_after_the_first_is_compared() {
    let written = expanded(quote!(
        enum News {
            Paid(Paid),
            Out(Out),
            Late(Late),
        }
    ))
    .unwrap();
    assert_eq!(written.matches("name_is_repeated").count(), 2, "{written}");
    assert!(
        written.contains("the event in `News::Late` has the subject of an earlier variant"),
        "{written}"
    );
}

#[test]
fn a_set_is_an_enum_of_different_events() {
    for (input, says) in [
        (
            quote!(
                struct News;
            ),
            "a set of events is an enum: write `enum News { … }`",
        ),
        (
            quote!(
                enum News {}
            ),
            "`News` is empty",
        ),
        (
            quote!(
                enum News {
                    Paid,
                }
            ),
            "write `Paid(OrderPlaced)`",
        ),
        (
            quote!(
                enum News {
                    Paid { event: Paid },
                }
            ),
            "write `Paid(OrderPlaced)`",
        ),
        (
            quote!(
                enum News {
                    Paid(Paid, u8),
                }
            ),
            "write `Paid(OrderPlaced)`",
        ),
        (
            quote!(
                enum News {
                    A(pay::Paid),
                    B(pay::Paid),
                }
            ),
            "`pay::Paid` is in `News::A` already",
        ),
        (
            quote!(
                enum News<T> {
                    A(T),
                }
            ),
            "a set of events has no type parameters",
        ),
    ] {
        let text = refusal(input);
        assert!(text.contains(says), "`{says}` is not in: {text}");
    }
}
