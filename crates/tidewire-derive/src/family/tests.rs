use super::*;

fn expanded(input: TokenStream) -> Result<String> {
    expand(&syn::parse2(input)?, &quote!(::tidewire)).map(|tokens| tokens.to_string())
}

#[test]
fn a_family_is_a_set_of_one_entity() {
    let written = expanded(quote! {
        #[family(entity = "orders.payments.payment")]
        enum PaymentEvent { Processed(Processed), Refunded(Refunded) }
    })
    .unwrap();
    assert!(
        written.contains(":: tidewire :: EventSet for PaymentEvent"),
        "{written}"
    );
    assert!(
        written.contains("const ENTITY : & 'static str = \"orders.payments.payment\""),
        "{written}"
    );
    assert_eq!(written.matches("name_is_of_entity").count(), 2, "{written}");
    assert_eq!(
        written.matches("FamilyEvent < Family = PaymentEvent >").count(),
        2,
        "{written}"
    );
}

#[test]
fn a_family_names_an_entity() {
    for (attribute, says) in [
        (quote!(), "add `#[family(entity = \"domain.context.entity\")]`"),
        (
            quote!(#[family]),
            "add `#[family(entity = \"domain.context.entity\")]`",
        ),
        (
            quote!(#[family(entity = "orders.payments")]),
            "<domain>[.v<major>].<context>.<entity>",
        ),
        (quote!(#[family(entity = "orders.payments.Payment")]), "`payment`"),
        (quote!(#[family(entity = Payment)]), "an entity is text in quotes"),
        (
            quote!(#[family(entiy = "a.b.c")]),
            "takes `entity`, and no `entiy`; did you mean `entity`?",
        ),
        (
            quote!(#[family(entity = "a.b.c", entity = "a.b.c")]),
            "`entity` is given twice",
        ),
    ] {
        let text = expanded(quote!(#attribute enum F { A(A) }))
            .unwrap_err()
            .to_string();
        assert!(text.contains(says), "`{says}` is not in: {text}");
    }
}
