//! Every error says what to do.

use std::time::Duration;

use tidewire::{
    AskError, EncodeError, Key, Kind, MessageName, PublishError, Subject, SubjectFilter,
    dead_letter::LetterState,
};

use crate::{
    LetterError, OpsError, Problem,
    bench::{BenchError, Workload},
    read_manifest,
};

#[path = "../../tidewire/tests/support/remedies.rs"]
mod support;

const LETTER: &str = "6gmcpefvbqpvty17vpk2reygjz";

#[test]
fn of_dead_letters() {
    let letter = || LETTER.parse().unwrap();
    support::remedies!("letters", LetterError,
        LetterError::NoStream => LetterError::NoStream, "it is made when a service starts";
        LetterError::Unknown { .. } => LetterError::Unknown { what: "nothing".into() },
            "`tidewire dlq ls --all` shows what there is";
        LetterError::Outrun { .. } => LetterError::Outrun { letter: letter(), state: LetterState::Handled },
            "look at it again with `tidewire dlq show 6gmcpefvbqpvty17vpk2reygjz`";
        LetterError::NotOpen { .. } => LetterError::NotOpen {
            letter: letter(),
            state: LetterState::Discarded,
            done: "edited",
            remedy: "give it back as it is by `tidewire dlq replay`",
        }, "give it back as it is by `tidewire dlq replay`";
        LetterError::Unreadable { .. } => LetterError::Unreadable {
            subject: "dlq.payments.ship.6gmcpefvbqpvty17vpk2reygjz".into(),
            sequence: 7,
            reason: "Tw-Act is `flown`".into(),
        }, "upgrade this command, for a newer Tidewire may have written it";
        LetterError::Object { .. } => LetterError::Object {
            object: "6gmcpefvbqpvty17vpk2reygjz-1".into(),
            done: "read",
            reason: "TIDEWIRE_LETTERS has no such object".into(),
        }, "see that the bucket is there and has room, and that this user may use it";
        LetterError::NotStored { .. } => LetterError::NotStored {
            subject: "dlq.payments.ship.6gmcpefvbqpvty17vpk2reygjz".into(),
            reason: "maximum messages exceeded".into(),
        }, "run the same again, which does nothing twice";
        LetterError::NoServiceStream { .. } => LetterError::NoServiceStream {
            service: "payments".into(),
            stream: "TW_PAYMENTS".into(),
        }, "start the service, which makes it";
        LetterError::NotForItsSubject { .. } => LetterError::NotForItsSubject {
            letter: letter(),
            subject: "metrics.cpu".into(),
            reason: "no stream captures it, so nobody would have it for sure".into(),
        }, "replay it to its handler instead";
        LetterError::ClaimedOtherwise { .. } => LetterError::ClaimedOtherwise { letter: letter(), to_subject: true },
            "run `tidewire dlq replay 6gmcpefvbqpvty17vpk2reygjz --to-subject`";
        // A refusal is the connection's to make.
        LetterError::NotPermitted { .. } | LetterError::Duplicate { .. } => LetterError::Duplicate {
            stream: "ORDERS__PAYMENTS".into(),
            sequence: 2,
            id: "6gmcpefvbqpvty17vpk2reygjz.2".into(),
        }, "look at that message with `nats stream get ORDERS__PAYMENTS 2`";
        LetterError::Change(_) => LetterError::Change("it is no JSON".into()),
            "mend the patch, or give a whole payload by --set FILE";
        LetterError::Import { .. } => LetterError::Import { line: 7, reason: "it has no records".into() },
            "export it again, or take the line out, and import the rest: nothing is imported twice";
    );
}

#[test]
fn of_all_questions() {
    let name = || "orders.payments.payment.processed".to_owned();
    let service = || "payments".to_owned();
    support::remedies!("questions", OpsError,
        OpsError::JetStream { .. } => OpsError::jetstream("list the streams", "the request timed out"),
            "see that the server runs with JetStream on and that this user may use it";
        OpsError::Connection(_) => OpsError::Connection("the server did not answer within 5s".into()),
            "see that the server runs and answers, and try again";
        OpsError::NobodyRuns { .. } => OpsError::NobodyRuns { service: service() },
            "start one, or mind the name: `tidewire manifest show` lists them";
        OpsError::Name(_) => MessageName::parse("dlq.orders.made").unwrap_err().into(),
            "begin with a domain of your own, such as `orders`";
        OpsError::Key(_) => Key::new("").unwrap_err().into(),
            "give the id of the entity that the message is about";
        OpsError::Subject(_) => Subject::parse("orders.payments.payment.processed.p-1.7.8").unwrap_err().into(),
            "escape the `.` of a key with `Key::new`";
        OpsError::Filter(_) => OpsError::Filter(SubjectFilter::parse("").unwrap_err().to_string()),
            "write `>` for every subject";
        OpsError::NotOneSubject { .. } => OpsError::NotOneSubject { filter: "orders.>".into() },
            "ask for one, with every token written out";
        OpsError::Data(_) => OpsError::Data(serde_json::from_str::<u8>("{").unwrap_err()),
            "mind the quotes of the shell, as in '{\"amount\": 7}'";
        OpsError::NotAManifest { .. } => read_manifest("old.json", b"{}").unwrap_err(),
            "`tidewire manifest show SERVICE --json` writes one";
        OpsError::Unfit { .. } => OpsError::Unfit {
            name: name(),
            version: 1,
            service: service(),
            problems: vec![Problem { path: "/amount".into(), reason: "\"7\" is not of type \"integer\"".into() }],
        }, "mend the data, or leave the check out";
        OpsError::Schema { .. } => OpsError::Schema {
            name: name(),
            service: service(),
            reason: "7 is not of types \"boolean\", \"object\"".into(),
        }, "mend it in the service, and send without a check by --no-check until then";
        OpsError::WrongKind { .. } => OpsError::WrongKind { name: name(), found: Kind::Event, service: service() },
            "publish it with `tidewire publish`";
        OpsError::OfAFamily { .. } => OpsError::OfAFamily {
            name: name(),
            entity: "orders.payments.payment".into(),
            service: service(),
        }, "send the command from which it follows";
        OpsError::KeyMissing { .. } => OpsError::KeyMissing { name: name(), service: service() },
            "give the key behind the name";
        OpsError::KeyGiven { .. } => OpsError::KeyGiven { name: name(), key: "p-1".into(), service: service() },
            "leave `p-1` out";
        // A refusal is the connection's to make: it is in the table of `tidewire`.
        OpsError::NotPermitted(_) | OpsError::Encode(_) => EncodeError::ReservedHeader { name: "Tw-Name".into() }.into(), "take another name";
        OpsError::Publish(_) => OpsError::Publish(PublishError::Full {
            stream: "ORDERS__PAYMENTS".into(),
            reason: "maximum messages exceeded".into(),
        }), "raise its limits, or publish more slowly";
        OpsError::Letter(_) => LetterError::NoStream.into(), "it is made when a service starts";
        OpsError::Ask(_) => OpsError::Ask(AskError::NoResponders { subject: "orders.payments.payment.get.p-1".into() }),
            "start the one that handles it, or ask again later";
    );
}

#[test]
fn of_benchmarks() {
    support::remedies!("benchmarks", BenchError,
        BenchError::Failed { .. } => Workload::Publish.failed("make its stream", "the request timed out"),
            "see that the server runs with JetStream on, and that this user may use it";
        BenchError::Unfinished { .. } => BenchError::Unfinished {
            workload: Workload::Live,
            seen: 7,
            expected: 10,
            within: Duration::from_secs(10),
        }, "see that the server has JetStream and is not overloaded";
    );
}
