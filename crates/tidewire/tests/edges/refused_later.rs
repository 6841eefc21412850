//! A subject that a live handler or an endpoint hears, and then may not: it is named, and heard again once it is granted.

use std::time::Duration;

use tidewire::{Bus, Connection, Running};

use crate::support::{
    COMES_WITHIN, Log, Reloadable, Seen, WELL_WITHIN, cashier, connect_as, display, payments, process,
    processed, till, users, within,
};

const QUESTIONS: &str = "orders.payments.payment.process.*";
const EVENTS: &str = "orders.payments.payment.processed.*";

/// A live handler and an endpoint of one user, and those of another who send to them.
struct Deaf {
    nats: Reloadable,
    service: Connection,
    seen: Seen,
    hear: [Running; 2],
    send: [Running; 2],
}

fn nothing_may_be_heard() -> String {
    users(&format!(r#"subscribe: {{ deny: ["{QUESTIONS}", "{EVENTS}"] }}"#))
}

impl Deaf {
    async fn start() -> Self {
        let (nats, seen) = (Reloadable::start(&users("")), Seen::default());
        let service = connect_as(&nats.server, "service").await;
        let hear = [
            cashier(&seen).start(service.clone()).await.unwrap(),
            display(&seen).start(service.clone()).await.unwrap(),
        ];
        let admin = nats.admin().await;
        let send = [
            payments().start(admin.clone()).await.unwrap(),
            till().start(admin).await.unwrap(),
        ];
        let deaf = Self {
            nats,
            service,
            seen,
            hear,
            send,
        };
        deaf.both_are_heard("before").await;
        deaf
    }

    fn buses(&self) -> [Bus; 2] {
        [self.send[0].bus(), self.send[1].bus()]
    }

    async fn both_are_heard(&self, what: &str) {
        let ([publishes, asks], limit) = (self.buses(), Duration::from_secs(1));
        let (event, question) = (format!("event-{what}"), format!("question-{what}"));
        within(WELL_WITHIN, "both are heard", async || {
            let stored = publishes.publish(&processed(&*event)).await.is_ok();
            let answered = asks.ask_within(&process(&*question), limit).await.is_ok();
            stored && answered && self.seen.has(&event) && self.seen.has(&question)
        })
        .await;
    }

    /// Neither is heard, and each service says by its readiness what it does not hear.
    async fn are_named(&self, log: &Log) {
        for subject in [QUESTIONS, EVENTS] {
            log.says(
                COMES_WITHIN,
                &format!("this user may not subscribe to `{subject}`"),
            )
            .await;
        }
        for (running, subject) in self.hear.iter().zip([QUESTIONS, EVENTS]) {
            let cause = format!("subscription-{subject}");
            within(COMES_WITHIN, &format!("not ready by {cause}"), async || {
                let causes = running.not_ready();
                causes
                    .get(&cause)
                    .is_some_and(|says| says.contains(subject) && says.contains("grant it"))
            })
            .await;
        }
        let [publishes, asks] = self.buses();
        publishes.publish(&processed("event-deaf")).await.unwrap();
        let asked = asks
            .ask_within(&process("question-deaf"), Duration::from_secs(1))
            .await;
        asked.unwrap_err();
        assert!(!self.seen.has("event-deaf") && !self.seen.has("question-deaf"));
    }

    async fn are_well(&self) {
        self.both_are_heard("after").await;
        for running in &self.hear {
            within(WELL_WITHIN, "it is ready", async || {
                running.not_ready().is_empty()
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_is_forbidden_while_it_is_heard_is_named_and_heard_again_once_it_is_granted() {
    let (log, _guard) = Log::listen();
    let deaf = Deaf::start().await;
    log.forget();
    deaf.nats.reload(&nothing_may_be_heard()).await;
    deaf.are_named(&log).await;
    deaf.nats.reload(&users("")).await;
    deaf.are_well().await;
}

#[tokio::test]
async fn what_is_forbidden_after_a_reconnect_is_named_and_heard_again_once_it_is_granted() {
    let (log, _guard) = Log::listen();
    let mut deaf = Deaf::start().await;
    let connects = deaf.service.client().statistics().clone();
    let connects = || connects.connects.load(std::sync::atomic::Ordering::Relaxed);
    let before = connects();
    deaf.nats.server.kill().unwrap();
    deaf.nats.rewrite(&nothing_may_be_heard());
    log.forget();
    deaf.nats.server.restart().unwrap();
    within(WELL_WITHIN, "the connection is back", async || {
        connects() > before
    })
    .await;
    deaf.are_named(&log).await;
    deaf.nats.reload(&users("")).await;
    deaf.are_well().await;
}
