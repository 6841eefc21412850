// Sends commands and queries, and shows each answer; or that nobody is there.

import { errors } from "@nats-io/transport-node";

import * as wire from "./wire.mjs";

function isNobody(error) {
  return error instanceof errors.NoRespondersError ||
    (error instanceof errors.RequestError && error.isNoResponders());
}

await wire.run(async (nats, task) => {
  const answers = [];
  for (const question of task.requests) {
    const subject = question.subject ?? wire.subject(question.name, question.key);
    const message = wire.envelope(question.kind, question.data, question.metadata);
    const headers = wire.headersOf(question.headers);
    try {
      const answer = await nats.request(subject, question.raw ?? wire.encode(message), { timeout: 30000, headers });
      answers.push({ id: message.id, ...wire.seen(answer) });
    } catch (error) {
      if (!isNobody(error)) throw error;
      answers.push({ id: message.id, nobody: true });
    }
  }
  return { answers };
});
