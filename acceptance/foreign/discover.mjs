// Finds services by the NATS services protocol (ADR-32), with the client that is made for it.

import { setTimeout } from "node:timers/promises";

import { Svcm } from "@nats-io/services";

import * as wire from "./wire.mjs";

/** All answers, in the order of their ids. */
async function all(answers) {
  const found = [];
  for await (const answer of await answers) found.push(answer);
  return found.sort((one, other) => (one.id < other.id ? -1 : 1));
}

function requests(stats) {
  return stats.flatMap((instance) => instance.endpoints).reduce((sum, endpoint) => sum + endpoint.num_requests, 0);
}

await wire.run(async (nats, task) => {
  const service = new Svcm(nats);
  const client = (answers) => service.client({ strategy: "count", maxMessages: answers, maxWait: 30000 });
  // Whoever answers though nobody asked it is heard too.
  const patient = service.client({ strategy: "stall", maxWait: 30000, stall: 3000 });
  const ping = await all(patient.ping());
  const info = await all(client(task.instances).info(task.service));
  const one = await all(patient.info(task.service, info[0].id));
  const before = await all(client(task.instances).stats(task.service));
  for (const question of task.requests) {
    const message = wire.envelope(question.kind, question.data);
    await nats.request(wire.subject(question.name, question.key), wire.encode(message), { timeout: 30000 });
  }
  let after = before;
  for (let attempt = 0; attempt < 100; attempt++) { // an answer leaves before it is counted
    after = await all(client(task.instances).stats(task.service));
    if (requests(after) - requests(before) >= task.requests.length) break;
    await setTimeout(20);
  }
  return { ping, info, one, before, after };
});
