//! What a service may do that may do nothing else, from what it declares: the least with which it works.
//!
//! Its streams, buckets and consumers were made by another user. All of JetStream's API is below `$JS.API`.

use tidewire::{Connect, Connection};
use tidewire_server::Server;

use crate::support::{connect_as, connected};

/// The permissions of one service.
pub(crate) struct Grants {
    service: &'static str,
    publish: Vec<String>,
    subscribe: Vec<String>,
}

impl Grants {
    /// A service that does nothing yet: it hears its answers, says who it is, and sends messages to itself, to know that its
    /// subscriptions are there.
    pub(crate) fn of(service: &'static str) -> Self {
        let inbox = format!("_INBOX_{service}.>");
        Self {
            service,
            publish: vec![inbox.clone()],
            subscribe: vec![inbox, "$SRV.>".into()],
        }
    }

    /// Events of a context, or durable commands of its queue.
    pub(crate) fn sends(self, stream: &str, subject: &str) -> Self {
        self.looks_at(stream).publishes([subject.into()])
    }

    /// Commands and queries, which others answer.
    pub(crate) fn asks(self, subject: &str) -> Self {
        self.publishes([subject.into()])
    }

    /// Commands and queries of others, and what is heard live. Who answers is allowed to by what it is asked.
    pub(crate) fn hears(mut self, subject: &str) -> Self {
        self.subscribe.push(subject.into());
        self
    }

    /// A durable: it pulls and settles, runs again and counts what failed, keeps what it cannot handle and tells of it,
    /// and is paused and resumed by operators.
    pub(crate) fn reads(self, stream: &str, durable: &str) -> Self {
        let (service, own) = (self.service, self.own());
        self.pulls(stream, durable)
            .pulls(&own, durable)
            .bucket(&format!("{own}_RUNS"), ">")
            .looks_at("TIDEWIRE_DLQ")
            .publishes([
                "$JS.API.STREAM.MSG.GET.TIDEWIRE_DLQ".into(),
                format!("dlq.{service}.>"),
            ])
            .sends("TIDEWIRE_ERRORS", &format!("errors.{service}.>"))
            .hears(&format!("tidewire.ops.{service}.*"))
    }

    /// With `.ordered_by_key()`: it is the one that reads, begins where the last one ended, and parks what has to wait.
    pub(crate) fn in_order(self, stream: &str, durable: &str) -> Self {
        let (service, own) = (self.service, self.own());
        let consumer = format!("{service}__{durable}");
        let taken_over = [stream, &own].map(|stream| {
            ["UNPIN", "RESET"].map(|verb| format!("$JS.API.CONSUMER.{verb}.{stream}.{consumer}"))
        });
        self.bucket(&format!("{own}_LEASES"), durable)
            .publishes(taken_over.into_iter().flatten())
            .publishes(["PURGE", "MSG.GET", "MSG.DELETE"].map(|verb| format!("$JS.API.STREAM.{verb}.{own}")))
            .publishes(["", ".>"].map(|keys| format!("park.{service}.{durable}{keys}")))
    }

    /// With `.filter(…)`: it finds the streams that have what it names.
    pub(crate) fn filters(self) -> Self {
        self.publishes(["$JS.API.STREAM.NAMES".into()])
    }

    /// Whoever operates it may pause and resume a durable.
    pub(crate) fn paused(self, stream: &str, durable: &str) -> Self {
        let (service, own) = (self.service, self.own());
        let consumers =
            [stream, &own].map(|stream| format!("$JS.API.CONSUMER.PAUSE.{stream}.{service}__{durable}"));
        self.publishes(consumers)
    }

    /// Dead letters of messages that nearly fill what the server takes.
    pub(crate) fn keeps_large_letters(self) -> Self {
        self.objects("TIDEWIRE_LETTERS")
    }

    /// With `.effectively_once()`: what a durable has handled is on record.
    pub(crate) fn once(self, durable: &str) -> Self {
        let bucket = format!("{}_INBOX", self.own());
        self.bucket(&bucket, &format!("{durable}.>"))
    }

    /// With `.claim_check_above(…)`: data is stored as objects of its context, and read from there.
    pub(crate) fn claims(self, context: &str) -> Self {
        self.objects(&format!("{context}__DATA"))
    }

    fn objects(self, bucket: &str) -> Self {
        self.looks_at(&format!("OBJ_{bucket}")).publishes([
            format!("$JS.API.STREAM.MSG.GET.OBJ_{bucket}"),
            format!("$JS.API.DIRECT.GET.OBJ_{bucket}"),
            format!("$JS.API.DIRECT.GET.OBJ_{bucket}.>"),
            format!("$O.{bucket}.>"),
        ])
    }

    /// A server whose user of the service's name may do this, and its user `admin` everything; passwords are names.
    pub(crate) fn server(&self) -> Server {
        let Self {
            service,
            publish,
            subscribe,
        } = self;
        let config = format!(
            "authorization {{ timeout: 30, users: [
                {{ user: admin, password: admin }}
                {{ user: {service}, password: {service}, permissions: {{
                    publish: {publish:?}, subscribe: {subscribe:?}, allow_responses: true
                }} }}
            ] }}"
        );
        Server::builder().config(config).start().unwrap()
    }

    /// How the service connects to that server.
    pub(crate) async fn connect(&self, server: &Server) -> Connection {
        let connect = Connect::to(server.url()).user(self.service, self.service);
        connected(connect.service(self.service)).await
    }

    /// The other user.
    pub(crate) async fn admin(server: &Server) -> Connection {
        connect_as(server, "admin").await
    }

    fn own(&self) -> String {
        format!("TW_{}", self.service.to_uppercase())
    }

    /// It sees that a stream is there, and as declared.
    fn looks_at(self, stream: &str) -> Self {
        self.publishes([format!("$JS.API.STREAM.INFO.{stream}")])
    }

    fn pulls(self, stream: &str, durable: &str) -> Self {
        let consumer = format!("{stream}.{}__{durable}", self.service);
        self.looks_at(stream).publishes([
            format!("$JS.API.STREAM.MSG.GET.{stream}"),
            format!("$JS.API.CONSUMER.INFO.{consumer}"),
            format!("$JS.API.CONSUMER.MSG.NEXT.{consumer}"),
            format!("$JS.ACK.{consumer}.>"),
        ])
    }

    fn bucket(self, bucket: &str, keys: &str) -> Self {
        self.looks_at(&format!("KV_{bucket}")).publishes([
            format!("$JS.API.STREAM.MSG.GET.KV_{bucket}"),
            format!("$KV.{bucket}.{keys}"),
        ])
    }

    fn publishes(mut self, subjects: impl IntoIterator<Item = String>) -> Self {
        self.publish.extend(subjects);
        self
    }
}
