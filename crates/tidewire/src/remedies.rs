//! Every error of a connection, a publish and a question says what to do.

use std::{io, time::Duration};

use async_nats::{ConnectErrorKind, RequestErrorKind};
use tidewire_core::{EncodeError, ErrorBody, Kind, ReplyError};

use crate::{
    AskError, ConnectError, PublishError,
    connection::{Operation, Refusal},
    headers::header_map,
};

#[path = "../tests/support/remedies.rs"]
mod support;

const WITHIN: Duration = Duration::from_secs(5);

fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no such file")
}

fn refusal() -> Refusal {
    Refusal {
        operation: Operation::Publish,
        subject: "orders.payments.payment.processed.p-1".into(),
    }
}

fn too_large() -> EncodeError {
    EncodeError::HeadersTooLarge {
        size: 70_000,
        limit: 65_535,
    }
}

#[test]
fn of_connecting() {
    support::remedies!("connect", ConnectError,
        ConnectError::Unreachable { .. } => ConnectError::Unreachable {
            address: "nats://localhost:4222".into(),
            source: ConnectErrorKind::TimedOut.into(),
        }, "is a nats-server running there?";
        ConnectError::Tls { .. } => ConnectError::Tls {
            address: "nats://localhost:4222".into(),
            source: ConnectErrorKind::Tls.into(),
        }, "give the authority that signed the server's certificate as `root_certificates`, and where the server asks for one \
            a `client_certificate`";
        ConnectError::Refused { .. } => ConnectError::Refused {
            address: "nats://localhost:4222".into(),
            how: "a token",
        }, "see that they belong to this server and have not expired";
        ConnectError::Address { .. } => ConnectError::Address {
            address: "nats://:x".into(),
            source: io::Error::new(io::ErrorKind::InvalidInput, "invalid port number"),
        }, "write for example nats://localhost:4222";
        ConnectError::File { .. } => ConnectError::File {
            what: "the credentials file",
            path: "me.creds".into(),
            source: missing(),
        }, "name one that is there and may be read";
        ConnectError::Malformed { .. } => ConnectError::Malformed {
            what: "the credentials file me.creds".into(),
            reason: "it has no user JWT".into(),
        }, "see that it is whole, and what it should be";
        ConnectError::TwoCredentials { .. } => ConnectError::TwoCredentials {
            first: "a token",
            second: "a credentials file",
        }, "give one kind of credentials";
    );
}

#[test]
fn of_publishing() {
    let subject = || "orders.payments.payment.processed.p-1".to_owned();
    support::remedies!("publish", PublishError,
        PublishError::Encode(_) => too_large().into(), "put what is large into the data";
        PublishError::Header(_) => header_map([("x-tenant", "a\nb")]).unwrap_err().into(), "a header is one line of text";
        PublishError::NotPermitted(_) => refusal().into(), "grant it in the server's configuration or the account";
        PublishError::Undeclared { .. } => PublishError::Undeclared {
            name: "orders.payments.payment.processed",
            type_name: "shop::PaymentProcessed",
        }, "add `.publishes::<shop::PaymentProcessed>()` to the service";
        PublishError::UndeclaredCommand { .. } => PublishError::UndeclaredCommand {
            name: "orders.payments.payment.process",
            type_name: "shop::ProcessPayment",
        }, "add `.sends::<shop::ProcessPayment>()` to the service";
        PublishError::NoQueue { .. } => PublishError::NoQueue {
            subject: "queue.orders.payments.payment.process.p-1".into(),
            context: "orders.payments".into(),
            within: WITHIN,
        }, "start the service that works it, with `.on(durable(\"name\", handler))` for this command and \
            `.context(Context::new(\"orders.payments\"))`, and see that JetStream is on";
        PublishError::NoStream { .. } => PublishError::NoStream {
            subject: subject(),
            context: "orders.payments".into(),
            within: WITHIN,
        }, "start the service that declares `.context(Context::new(\"orders.payments\"))`, and see that JetStream is on";
        PublishError::OtherStream { .. } => PublishError::OtherStream {
            subject: subject(),
            expected: "ORDERS__PAYMENTS".into(),
            reason: "expected stream does not match".into(),
        }, "narrow the subjects of that stream";
        PublishError::Full { .. } => PublishError::Full {
            stream: "ORDERS__PAYMENTS".into(),
            reason: "maximum messages exceeded".into(),
        }, "raise its limits, or publish more slowly";
        PublishError::TooLarge { .. } => PublishError::TooLarge {
            subject: subject(),
            reason: "message size exceeds maximum allowed; send less, or raise the limit of the stream".into(),
        }, "send less, or raise the limit of the stream";
        PublishError::Data { .. } => PublishError::Data {
            subject: subject(),
            bucket: "TW_PAYMENTS_DATA".into(),
            source: "no such bucket".into(),
        }, "see that the bucket is there and has room, and that this user may write to it";
        PublishError::Refused { .. } => PublishError::Refused {
            subject: subject(),
            code: 10_109,
            reason: "stream is sealed".into(),
        }, "publish it again once that is mended";
        PublishError::Unconfirmed { .. } => PublishError::Unconfirmed {
            subject: subject(),
            within: WITHIN,
        }, "look at its stream before it is published again under another id";
    );
}

fn refused(retryable: bool) -> AskError {
    AskError::Refused {
        subject: "orders.payments.payment.process.p-1".into(),
        error: ErrorBody {
            code: "insufficient_funds".into(),
            message: "the account is empty".into(),
            retryable,
            details: serde_json::Value::Null,
        },
    }
}

#[test]
fn of_asking() {
    let subject = || "orders.payments.payment.process.p-1".to_owned();
    support::remedies!("ask", AskError,
        AskError::NoResponders { .. } => AskError::NoResponders { subject: subject() },
            "start the one that handles it, or ask again later";
        AskError::TimedOut { .. } => AskError::TimedOut { subject: subject(), within: WITHIN },
            "ask again only what may be done twice";
        // Whatever the service says; and where it says that the same may succeed later, the last words are others.
        AskError::Refused { error: ErrorBody { retryable: false, .. }, .. } => refused(false), "ask for something else";
        AskError::Refused { error: ErrorBody { retryable: true, .. }, .. } => refused(true), "ask again later";
        AskError::Unreadable { .. } => AskError::Unreadable {
            subject: subject(),
            source: ReplyError::WrongKind(Kind::Event),
        }, "let both sides declare one reply";
        AskError::Captured { .. } => AskError::Captured {
            subject: subject(),
            stream: "EVERYTHING".into(),
        }, "narrow the stream's subjects";
        AskError::Encode(_) => too_large().into(), "put what is large into the data";
        AskError::Header(_) => header_map([("x-tenant", "a\nb")]).unwrap_err().into(), "a header is one line of text";
        AskError::NotPermitted(_) => refusal().into(), "grant it in the server's configuration or the account";
        AskError::Undeclared { .. } => AskError::Undeclared {
            name: "orders.payments.payment.process",
            type_name: "shop::ProcessPayment",
        }, "add `.asks::<shop::ProcessPayment>()` to the service";
        AskError::TooLarge { .. } => AskError::TooLarge { subject: subject(), size: 2_000_000, limit: 1_048_576 },
            "send less, or raise the server's max_payload";
        AskError::Client { .. } => AskError::Client {
            subject: subject(),
            source: RequestErrorKind::Other.into(),
        }, "see that the server runs, and ask again";
    );
}
