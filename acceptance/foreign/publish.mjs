// Publishes events to Tidewire's handlers: with the stream's ack, or as a plain message that the stream stores all the same.

import { jetstream } from "@nats-io/jetstream";

import * as wire from "./wire.mjs";

await wire.run(async (nats, task) => {
  const stream = jetstream(nats);
  const sent = [];
  for (const event of task.events) {
    const subject = wire.subject(event.name, event.key);
    const message = wire.envelope("event", event.data, event.metadata);
    if (event.ack) {
      const stored = await stream.publish(subject, wire.encode(message), { msgID: message.id });
      const again = await stream.publish(subject, wire.encode(message), { msgID: message.id });
      const acks = { stream: stored.stream, again: { duplicate: again.duplicate, same: again.seq === stored.seq } };
      sent.push({ id: message.id, acks });
    } else {
      nats.publish(subject, wire.encode(message));
      sent.push({ id: message.id, acks: null });
    }
  }
  await nats.flush();
  return { sent };
});
