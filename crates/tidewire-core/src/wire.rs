//! Every name on the wire, in one place: wire contract 1.

/// The message's id, by which a stream drops repeated publishes within its duplicate window.
pub const MSG_ID: &str = "Nats-Msg-Id";
/// The stream that must store the publish, or it is refused.
pub const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
/// The media type of the body.
pub const CONTENT_TYPE: &str = "Content-Type";
/// The envelope's media type.
pub const JSON: &str = "application/json";
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

/// The name of a service's durable consumer: `<service>__<durable>`.
pub fn consumer_name(service: &str, durable: &str) -> String {
    format!("{service}__{durable}")
}
