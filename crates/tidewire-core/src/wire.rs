//! Every name on the wire, in one place: wire contract 1.

use tidewire_subject::ContextName;

/// The message's id, by which a stream drops repeated publishes within its duplicate window.
pub const MSG_ID: &str = "Nats-Msg-Id";
/// The stream that must store the publish, or it is refused.
pub const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// The media type of the body.
pub const CONTENT_TYPE: &str = "Content-Type";
/// The envelope's media type.
pub const JSON: &str = "application/json";
/// How the body is compressed: `zstd`, or it is not.
pub const CONTENT_ENCODING: &str = "Content-Encoding";
/// The encoding that is written.
pub const ZSTD: &str = "zstd";
/// Where the data of a message without a body lies: the extension `dataref` of `CloudEvents`, `nats-object:BUCKET/OBJECT`.
pub const DATAREF: &str = "ce-dataref";
/// How many bytes the object has that [`DATAREF`] names.
pub const DATA_SIZE: &str = "ce-twdatasize";
/// The SHA-256 of that object, in lower-case hexadecimal digits.
pub const DATA_SHA256: &str = "ce-twdatasha256";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace context, vendors' part.
pub const TRACESTATE: &str = "tracestate";
/// W3C baggage.
pub const BAGGAGE: &str = "baggage";
/// A copy of `metadata.name` for readers of headers alone.
pub const TW_NAME: &str = "Tw-Name";
/// A copy of `metadata.version`.
pub const TW_VERSION: &str = "Tw-Version";
/// A copy of `metadata.correlation_id`.
pub const TW_CORRELATION_ID: &str = "Tw-Correlation-Id";
/// A copy of `metadata.causation_id`.
pub const TW_CAUSATION_ID: &str = "Tw-Causation-Id";
/// The wire contract of a message; a message without it speaks contract 1.
pub const TW_CONTRACT: &str = "Tw-Contract";
/// The message of an error answer, as the NATS services protocol (ADR-32) has it.
pub const SERVICE_ERROR: &str = "Nats-Service-Error";
/// The numeric code of an error answer, as the NATS services protocol (ADR-32) has it.
pub const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";

/// The sequence of the last message on a subject that a publish expects; 0 where there must be none.
pub const EXPECTED_LAST_SUBJECT_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
/// The subject whose last sequence is meant, where it is not the publish's own.
pub const EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// On a delivered message: which of a consumer's pulls the server serves, until it pins another.
pub const PIN_ID: &str = "Nats-Pin-Id";
/// How long a stream keeps the message, in whole seconds (`90s`).
pub const TTL: &str = "Nats-TTL";

/// The subject that a message was sent to, where it is parked under another one.
pub const TW_SUBJECT: &str = "Tw-Subject";
/// The stream that a parked message comes from.
pub const TW_STREAM: &str = "Tw-Stream";
/// When that stream was made.
pub const TW_STREAM_CREATED: &str = "Tw-Stream-Created";
/// The message's place in that stream.
pub const TW_SEQUENCE: &str = "Tw-Sequence";
/// When that stream stored it.
pub const TW_STORED: &str = "Tw-Stored";
/// The consumer that could not handle it.
pub const TW_CONSUMER: &str = "Tw-Consumer";
/// How often it was tried.
pub const TW_ATTEMPTS: &str = "Tw-Attempts";
/// When the first attempt failed.
pub const TW_FIRST_FAILED: &str = "Tw-First-Failed";
/// When the last attempt failed.
pub const TW_LAST_FAILED: &str = "Tw-Last-Failed";
/// What kind of error it was: `malformed`, `invalid`, `incompatible`, `rejected`, `exhausted`, `panicked`, …
pub const TW_ERROR_CLASS: &str = "Tw-Error-Class";
/// What the error says; at most 1 KiB.
pub const TW_ERROR: &str = "Tw-Error";
/// The causes of the error, outermost first; at most 8 KiB.
pub const TW_ERROR_CHAIN: &str = "Tw-Error-Chain";
/// The version of the service that failed.
pub const TW_SERVICE_VERSION: &str = "Tw-Service-Version";
/// What a record of a dead letter says: `failed`, `replayed`, `handled`, `edited` or `discarded`.
pub const TW_ACT: &str = "Tw-Act";
/// Who did it.
pub const TW_BY: &str = "Tw-By";
/// Why.
pub const TW_REASON: &str = "Tw-Reason";
/// The dead letter that a replayed message belongs to.
pub const TW_LETTER: &str = "Tw-Letter";
/// The place of the record, in the dead-letter stream, by which it was replayed.
pub const TW_RECORD: &str = "Tw-Record";
/// `raw` where the body holds the original's header block and payload.
pub const TW_FORMAT: &str = "Tw-Format";
/// The size in bytes of the header block at the beginning of a raw body.
pub const TW_HEADER_SIZE: &str = "Tw-Header-Size";
/// The object that holds the body, in the bucket [`LETTERS_BUCKET`].
pub const TW_OBJECT: &str = "Tw-Object";
/// When a record of a dead letter was first stored, where it was exported and imported since: its time in the stream is that
/// of the import.
pub const TW_RECORDED: &str = "Tw-Recorded";
/// Who imported a record of a dead letter.
pub const TW_IMPORTED_BY: &str = "Tw-Imported-By";
/// Where the record was imported from, such as a file.
pub const TW_IMPORTED_FROM: &str = "Tw-Imported-From";
/// What the original's headers are prefixed with.
pub const ORIGINAL: &str = "Orig-";

/// The stream of dead letters.
pub const DLQ_STREAM: &str = "TIDEWIRE_DLQ";
/// The stream of error events.
pub const ERRORS_STREAM: &str = "TIDEWIRE_ERRORS";
/// The object-store bucket of what is too large for a record of a dead letter.
pub const LETTERS_BUCKET: &str = "TIDEWIRE_LETTERS";

/// What stands before a durable command's subject in its context's queue.
pub const QUEUE_PREFIX: &str = "queue.";

/// The key-value bucket in which each service keeps its manifest, as JSON under its name.
pub const MANIFESTS_BUCKET: &str = "TIDEWIRE_MANIFESTS";
/// The key-value bucket of leases that services of several names share.
pub const LEASES_BUCKET: &str = "TIDEWIRE_LEASES";

/// Consumer metadata: the service that owns it.
pub const META_SERVICE: &str = "tidewire.service";
/// Consumer metadata: the durable's name in the service.
pub const META_HANDLER: &str = "tidewire.handler";
/// Consumer metadata: the wire contract.
pub const META_CONTRACT: &str = "tidewire.contract";
/// The wire contract that this crate speaks.
pub const CONTRACT: &str = "1";

/// The object-store bucket of a context's large data: `<DOMAIN>[__V<n>]__<CONTEXT>__DATA`.
pub fn data_bucket(context: &ContextName) -> String {
    format!("{}__DATA", context.stream_name())
}

/// Whether a header may be called so: visible ASCII without a colon, as NATS' clients have it.
pub fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
}

/// The stream below an object-store bucket.
pub fn object_stream(bucket: &str) -> String {
    format!("OBJ_{bucket}")
}

/// The name of a service's durable consumer: `<service>__<durable>`.
pub fn consumer_name(service: &str, durable: &str) -> String {
    format!("{service}__{durable}")
}

/// The subject or filter of a durable command in its context's queue.
pub fn queue_subject(subject: &str) -> String {
    format!("{QUEUE_PREFIX}{subject}")
}

/// The stream of a service's own: what it retries and what it has parked.
pub fn service_stream(service: &str) -> String {
    format!("TW_{}", service.to_uppercase())
}

/// The key-value bucket in which a service counts the runs of messages that failed: `TW_<SERVICE>_RUNS`.
pub fn runs_bucket(service: &str) -> String {
    format!("TW_{}_RUNS", service.to_uppercase())
}

/// The key-value bucket in which a service keeps what it has handled: `TW_<SERVICE>_INBOX`.
pub fn inbox_bucket(service: &str) -> String {
    format!("TW_{}_INBOX", service.to_uppercase())
}

/// The subject of a dead letter's records.
pub fn letter_subject(service: &str, durable: &str, letter: &str) -> String {
    format!("dlq.{service}.{durable}.{letter}")
}

/// The subject on which one handler alone hears a replayed letter.
pub fn retry_subject(service: &str, durable: &str, letter: &str) -> String {
    format!("retry.{service}.{durable}.{letter}")
}

/// What every instance of a service hears from operators.
pub fn operation_subject(service: &str, verb: &str) -> String {
    format!("tidewire.ops.{service}.{verb}")
}

/// The subject on which messages of one key wait until one before them is done; `key` is a token of a subject.
pub fn park_subject(service: &str, durable: &str, key: &str) -> String {
    format!("park.{service}.{durable}.{key}")
}

/// The subject on which the active instance of a durable that is ordered by key says that its term begins.
///
/// Whatever it parks is guarded by the last sequence of this subject, so that nobody parks after its term.
pub fn term_subject(service: &str, durable: &str) -> String {
    format!("park.{service}.{durable}")
}

/// The key-value bucket of a service's leases: which instance is the active one of a durable, by the durable's name.
pub fn service_leases_bucket(service: &str) -> String {
    format!("TW_{}_LEASES", service.to_uppercase())
}

/// The subject of a durable's error events.
pub fn errors_subject(service: &str, durable: &str) -> String {
    format!("errors.{service}.{durable}")
}
