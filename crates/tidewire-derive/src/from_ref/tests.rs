use super::*;

fn expanded(input: TokenStream) -> Result<String> {
    expand(&syn::parse2(input)?, &quote!(::tidewire)).map(|tokens| tokens.to_string())
}

#[test]
fn each_field_is_taken_by_its_type() {
    let written = expanded(quote! {
        struct App { gateway: Gateway, #[from_ref(skip)] spare: Gateway }
    });
    let by_hand = quote! {
        #[automatically_derived]
        impl ::tidewire::FromRef<App> for Gateway {
            fn from_ref(state: &App) -> Self {
                ::core::clone::Clone::clone(&state.gateway)
            }
        }
    };
    assert_eq!(written.unwrap(), by_hand.to_string());
}

#[test]
fn fields_may_have_no_names() {
    let written = expanded(quote!(
        struct App(#[from_ref(skip)] u8, Gateway);
    ))
    .unwrap();
    assert!(written.contains("& state . 1"), "{written}");
}

#[test]
fn a_state_is_a_struct_of_different_types() {
    for (input, says) in [
        (
            quote!(
                enum App {
                    A,
                }
            ),
            "`App` is no struct",
        ),
        (
            quote!(
                struct App<T> {
                    a: T,
                }
            ),
            "a service's state has no type parameters",
        ),
        (
            quote!(
                struct App {
                    a: Pool,
                    b: Pool,
                }
            ),
            "field `a` has this type too",
        ),
        (
            quote!(
                struct App {
                    #[from_ref(skp)]
                    a: Pool,
                }
            ),
            "takes `skip`, and no `skp`; did you mean `skip`?",
        ),
        (
            quote!(
                struct App {
                    #[from_ref]
                    a: Pool,
                }
            ),
            "write `#[from_ref(skip)]`",
        ),
    ] {
        let text = expanded(input).unwrap_err().to_string();
        assert!(text.contains(says), "`{says}` is not in: {text}");
    }
}
