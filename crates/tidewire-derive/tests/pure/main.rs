//! What the derives write does what the traits say.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidewire_core::{
    Command, CommandMessage, DecodeError, Encoded, Event, EventFamily, EventSet, FamilyEvent, FreeEvent,
    Kind, Message, Query, QueryMessage, RequestMessage,
};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct PaymentId(u32);

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p-{}", self.0)
    }
}

#[derive(Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "orders.payments.payment.processed", key = payment_id, family = PaymentEvent)]
#[event(version = 2, patch(1 = [{"op": "move", "from": "/id", "path": "/payment_id"}]))]
struct Processed {
    payment_id: PaymentId,
}

mod refunds {
    use super::*;

    #[derive(Debug, Event, Serialize, Deserialize, JsonSchema)]
    #[event(subject = "orders.payments.payment.refunded")]
    #[event(key = r#type, family = PaymentEvent)]
    pub(super) struct Refunded {
        pub(super) r#type: String,
    }
}

#[derive(Debug, EventFamily)]
#[family(entity = "orders.payments.payment")]
enum PaymentEvent {
    Processed(Processed),
    Refunded(refunds::Refunded),
}

#[derive(Debug, Event, Serialize, Deserialize, JsonSchema)]
#[event(subject = "shop.v2.night.closed")]
struct Closed;

#[derive(Debug, EventSet)]
enum News {
    Closed(Closed),
    Paid(Processed),
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(subject = "shop.night.close")]
struct Close;

#[derive(Query, Serialize, Deserialize, JsonSchema)]
#[query(subject = "orders.payments.payment.get", key = payment_id, reply = Option<Vec<PaymentId>>)]
struct Get {
    payment_id: PaymentId,
}

fn decode<S: EventSet>(name: &str, version: u32, data: &str) -> Result<S, DecodeError> {
    let data = RawValue::from_string(data.to_owned()).map_err(|error| DecodeError::of_json(name, error))?;
    S::decode(Encoded {
        kind: Kind::Event,
        name,
        key: None,
        version,
        data: &data,
        binary: None,
    })
}

#[test]
fn a_message_has_its_contract_and_its_key() {
    let processed = Processed {
        payment_id: PaymentId(42),
    };
    assert_eq!(processed.key().as_deref(), Some("p-42"));
    assert_eq!(Processed::TYPE.name, "orders.payments.payment.processed");
    assert_eq!(
        (
            Processed::TYPE.kind,
            Processed::TYPE.version,
            Processed::TYPE.keyed
        ),
        (Kind::Event, 2, true)
    );
    assert_eq!(
        refunds::Refunded { r#type: "r-1".into() }.key().as_deref(),
        Some("r-1")
    );
    assert_eq!(Closed.key(), None);
    assert_eq!((Closed::TYPE.version, Closed::TYPE.keyed), (1, false));
    assert_eq!(Close::TYPE.kind, Kind::Command);
    assert_eq!(
        Get {
            payment_id: PaymentId(7)
        }
        .key()
        .as_deref(),
        Some("p-7")
    );
}

#[test]
fn each_kind_has_its_traits() {
    fn free<E: FreeEvent>() {}
    fn member<E: FamilyEvent<Family = PaymentEvent>>() {}
    fn command<C: CommandMessage + RequestMessage<Reply = ()>>() {}
    fn query<Q: QueryMessage + RequestMessage<Reply = Option<Vec<PaymentId>>>>() {}
    free::<Closed>();
    member::<Processed>();
    member::<refunds::Refunded>();
    command::<Close>();
    query::<Get>();
}

#[test]
fn a_set_decodes_each_of_its_events_by_name() {
    for (version, data) in [(1, r#"{"id":7}"#), (2, r#"{"payment_id":7}"#)] {
        let paid: News = decode("orders.payments.payment.processed", version, data).unwrap();
        assert!(
            matches!(
                paid,
                News::Paid(Processed {
                    payment_id: PaymentId(7)
                })
            ),
            "{paid:?}"
        );
    }
    let closed: News = decode("shop.v2.night.closed", 1, "null").unwrap();
    assert!(matches!(closed, News::Closed(Closed)), "{closed:?}");
}

#[test]
fn a_set_says_what_it_does_not_take() {
    let error = decode::<News>("shop.night.closed", 1, "null").unwrap_err();
    assert!(matches!(error, DecodeError::Unknown { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("`shop.v2.night.closed`, `orders.payments.payment.processed`"),
        "{error}"
    );
    let error = decode::<News>("shop.v2.night.closed", 2, "null").unwrap_err();
    assert!(
        matches!(
            error,
            DecodeError::Incompatible {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_event_becomes_its_variant() {
    assert!(matches!(News::from(Closed), News::Closed(Closed)));
    let refunded: PaymentEvent = refunds::Refunded { r#type: "r-1".into() }.into();
    let processed: PaymentEvent = Processed {
        payment_id: PaymentId(7),
    }
    .into();
    let keys = [refunded, processed].map(|event| match event {
        PaymentEvent::Processed(event) => event.key(),
        PaymentEvent::Refunded(event) => event.key(),
    });
    assert_eq!(keys, [Some("r-1".to_owned()), Some("p-7".to_owned())]);
}

#[test]
fn a_family_is_a_set_with_an_entity() {
    assert_eq!(PaymentEvent::ENTITY, "orders.payments.payment");
    let names: Vec<_> = PaymentEvent::TYPES.iter().map(|contract| contract.name).collect();
    assert_eq!(
        names,
        [
            "orders.payments.payment.processed",
            "orders.payments.payment.refunded"
        ]
    );
    let manifest = PaymentEvent::manifest();
    assert_eq!(manifest.len(), 2);
    assert_eq!(manifest[0].0, Processed::TYPE);
    assert_eq!(manifest[0].1.version, 2);
}
