// Calls a command and hears the events that follow: as they pass, and from the stream by a consumer of its own.

import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";

import * as wire from "./wire.mjs";

await wire.run(async (nats, task) => {
  const heard = nats.subscribe(`${task.event}.*`, { max: task.requests.length, timeout: 30000 });
  await nats.flush();
  const commands = [];
  for (const question of task.requests) {
    const message = wire.envelope("command", question.data);
    commands.push(message.id);
    await nats.request(wire.subject(question.name, question.key), wire.encode(message), { timeout: 30000 });
  }
  const passing = [];
  for await (const message of heard) passing.push(wire.seen(message));

  const manager = await jetstreamManager(nats);
  const config = { durable_name: "reader", ack_policy: AckPolicy.Explicit, filter_subject: `${task.event}.*` };
  await manager.consumers.add(task.stream, config);
  const consumer = await jetstream(nats).consumers.get(task.stream, "reader");
  const stored = [];
  for await (const message of await consumer.fetch({ max_messages: task.stored, expires: 5000 })) {
    stored.push(wire.seen(message));
    message.ack();
  }
  return { commands, passing, stored };
});
