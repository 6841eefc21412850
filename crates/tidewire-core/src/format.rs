//! The forms in which a message travels.

use serde::Serialize;

/// How a message is written. All forms are read, whatever a service writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// Tidewire's envelope: one JSON object with `type`, `id`, `timestamp`, `data` and `metadata`.
    #[default]
    Tidewire,
    /// [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md),
    /// binary mode: attributes in `ce-…` headers, the body is the data.
    CloudEventsBinary,
    /// CloudEvents 1.0, structured mode: one JSON object as `application/cloudevents+json`.
    CloudEventsStructured,
}
