//! The records of dead letters, as any program reads them.

use tidewire::{async_nats::jetstream, dead_letter::Record, wire};

/// All of them, oldest first, each behind its subject; none where there is no stream of them yet.
pub(crate) async fn records(js: &jetstream::Context) -> Vec<(String, Record)> {
    let Ok(stream) = js.get_stream(wire::DLQ_STREAM).await else {
        return Vec::new();
    };
    let mut records = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let pairs = message.headers.iter().flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        });
        let record = Record::read(&pairs, &message.payload).unwrap();
        records.push((message.subject.to_string(), record));
    }
    records
}
