use super::*;

const PROCESS: MessageName = MessageName::from_static("orders.payments.payment.process");

fn refused(text: &str) -> String {
    MessageName::parse(text).unwrap_err().to_string()
}

#[test]
fn a_name_is_read_into_its_parts() {
    let parts = |text| {
        let name = MessageName::parse(text).unwrap();
        let entity = name.entity().map(str::to_owned);
        (
            name.domain().to_owned(),
            name.major(),
            name.context().to_owned(),
            entity,
            name.action().to_owned(),
        )
    };
    let own = |d: &str, m, c: &str, e: Option<&str>, a: &str| {
        (d.to_owned(), m, c.to_owned(), e.map(str::to_owned), a.to_owned())
    };
    assert_eq!(
        parts("orders.payments.process"),
        own("orders", None, "payments", None, "process")
    );
    assert_eq!(
        parts("orders.v12.payments.process"),
        own("orders", Some(12), "payments", None, "process")
    );
    assert_eq!(
        parts("users.v2.profile.user.created"),
        own("users", Some(2), "profile", Some("user"), "created")
    );
    assert_eq!(parts("a.b.c.d"), own("a", None, "b", Some("c"), "d"));
}

#[test]
fn the_names_of_context_and_entity_are_parts_of_a_message() {
    let name = MessageName::parse("users.v2.profile.user.created").unwrap();
    let entity = name.entity_name().unwrap();
    assert_eq!(name.context_name().as_str(), "users.v2.profile");
    assert_eq!(entity.as_str(), "users.v2.profile.user");
    assert_eq!(entity.entity(), "user");
    assert_eq!(entity.context_name(), name.context_name());
    assert!(name.context_name().contains(&name) && name.belongs_to(&entity));
    assert_eq!(entity, EntityName::parse("users.v2.profile.user").unwrap());
    assert!(!ContextName::parse("users.profile").unwrap().contains(&name));
    assert!(!ContextName::parse("users.v2.pro").unwrap().contains(&name));
    assert_eq!(
        MessageName::parse("orders.payments.process")
            .unwrap()
            .entity_name(),
        None
    );
}

#[test]
fn a_literal_is_a_name_without_an_allocation_and_equal_to_a_parsed_one() {
    assert_eq!(
        PROCESS,
        MessageName::parse("orders.payments.payment.process").unwrap()
    );
    let map = std::collections::HashMap::from([(PROCESS, 1)]);
    assert_eq!(map.get("orders.payments.payment.process"), Some(&1));
}

#[test]
fn stream_names_are_those_of_the_wire_contract() {
    let stream = |text| ContextName::parse(text).unwrap().stream_name();
    assert_eq!(stream("orders.payments"), "ORDERS__PAYMENTS");
    assert_eq!(stream("users.v2.profile"), "USERS__V2__PROFILE");
    assert_eq!(stream("big-shop.pay_ments"), "BIG-SHOP__PAY_MENTS");
}

#[test]
fn a_queue_is_told_from_the_events_of_a_context_called_queue() {
    let queue = |text| ContextName::parse(text).unwrap().queue_stream_name();
    assert_eq!(queue("orders.payments"), "ORDERS__PAYMENTS__QUEUE");
    assert_eq!(queue("users.v2.profile"), "USERS__V2__PROFILE__QUEUE");
    for context in [
        "orders.payments",
        "users.v2.profile",
        "orders.queue",
        "orders.v2.queue",
    ] {
        let context = ContextName::parse(context).unwrap();
        assert!(
            ContextName::is_queue_stream(&context.queue_stream_name()),
            "{context}"
        );
        assert!(!ContextName::is_queue_stream(&context.stream_name()), "{context}");
    }
    for stream in [
        "QUEUE",
        "__QUEUE",
        "orders__payments__QUEUE",
        "A__B__C__QUEUE",
        "TW_PAYMENTS",
    ] {
        assert!(!ContextName::is_queue_stream(stream), "{stream}");
    }
}

#[test]
fn an_entity_is_asked_of_a_name_at_compile_time() {
    const _: () = assert!(name_is_of_entity(
        "orders.v2.payments.payment.failed",
        "orders.v2.payments.payment"
    ));
    for (name, entity) in [
        ("orders.payments.payment.failed", "orders.payments.pay"),
        ("orders.payments.payment.failed", "orders.payments"),
        ("orders.payments.payment", "orders.payments"),
        ("orders.v2.payments.payment.failed", "orders.payments.payment"),
        ("orders.payments.payment.failed.late", "orders.payments.payment"),
        ("", ""),
    ] {
        assert!(!name_is_of_entity(name, entity), "{name} {entity}");
    }
}

#[test]
fn a_version_is_the_second_token_and_no_other_word() {
    for text in [
        "v2.orders.payments.process",
        "orders.payments.v2.process",
        "orders.v1.v2.pay.process",
    ] {
        assert!(
            refused(text).contains("only be the second token: write `<domain>.v2."),
            "{}",
            refused(text)
        );
    }
    // These do not look like `v[1-9][0-9]*`.
    for word in ["v", "v0", "v01", "v2a", "v2-b"] {
        let name = MessageName::parse(&format!("orders.{word}.pay.process")).unwrap();
        assert_eq!((name.major(), name.context()), (None, word));
    }
    assert_eq!(
        MessageName::parse("orders.v4294967295.pay.process")
            .unwrap()
            .major(),
        Some(u32::MAX)
    );
    assert!(refused("orders.v4294967296.pay.process").contains("over 4294967295"));
    assert!(refused("orders.v1.pay").contains("has 2 words"));
}

#[test]
fn a_reserved_domain_is_refused_by_name() {
    for domain in RESERVED_DOMAINS {
        let text = refused(&format!("{domain}.payments.process"));
        assert!(
            text.contains(&format!("the domain \"{domain}\"")) && text.contains("`orders`"),
            "{text}"
        );
        assert!(ContextName::parse(&format!("{domain}.payments")).is_err());
        assert!(MessageName::parse(&format!("orders.{domain}.{domain}.{domain}")).is_ok());
    }
    assert!(MessageName::parse("queues.payments.process").is_ok());
}

#[test]
fn an_error_names_the_word_and_shows_a_correct_form() {
    for (text, word, remedy) in [
        ("orders.payments.Payment.process", "\"Payment\"", "`payment`"),
        (
            "orders.payments.payment.PaymentProcessed",
            "\"PaymentProcessed\"",
            "`payment-processed`",
        ),
        ("orders.pay ments.process", "' '", "`pay-ments`"),
        ("orders.pay--ments.process", "\"pay--ments\"", "`pay-ments`"),
        ("orders.-pay_.process", "\"-pay_\"", "`pay`"),
        ("orders.*.process", "'*'", "a word such as `payment`"),
        ("orders.größe.process", "'ö'", "`gr-e`"),
        ("orders..process", "empty word", "one `.`"),
        ("orders.process", "2 words", "`orders.payments.payment.process`"),
        ("", "0 words", "`orders.payments.payment.process`"),
        (
            "a.b.c.d.e",
            "5 words",
            "`<domain>[.v<major>].<context>[.<entity>].<action>`",
        ),
    ] {
        let error = refused(text);
        assert!(error.contains(word) && error.contains(remedy), "{text}: {error}");
    }
    let long = "a".repeat(MAX_WORD + 1);
    assert!(MessageName::parse(&format!("orders.{}.process", &long[1..])).is_ok());
    assert!(refused(&format!("orders.{long}.process")).contains("has 65 bytes and may have 64"));
    assert!(
        refused(&"A".repeat(1 << 20)).len() < 1000,
        "an error does not carry a megabyte"
    );
    assert_eq!(check_word("payments"), Ok(()));
    assert!(check_word("a.b").is_err() && check_word("v2").is_err() && check_word("").is_err());
}
