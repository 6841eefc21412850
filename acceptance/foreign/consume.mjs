// Takes over a durable of a Tidewire service: handles all that waits there but the last, which it gives back.

import { jetstream } from "@nats-io/jetstream";

import * as wire from "./wire.mjs";

await wire.run(async (nats, task) => {
  const consumer = await jetstream(nats).consumers.get(task.stream, task.consumer);
  const waiting = [];
  for await (const message of await consumer.fetch({ max_messages: task.count, expires: 30000 })) waiting.push(message);
  const last = waiting.pop();
  for (const message of waiting) await message.ackAck();
  last.nak();
  await nats.flush();
  return { handled: waiting.map(wire.seen), given_back: wire.seen(last) };
});
