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
  const client = new Svcm(nats).client({ strategy: "stall", maxWait: 5000, stall: 300 });
  const ping = await all(client.ping());
  const info = await all(client.info(task.service));
  const one = await all(client.info(task.service, info[0].id));
  const before = await all(client.stats(task.service));
  for (const question of task.requests) {
    const message = wire.envelope(question.kind, question.data);
    await nats.request(wire.subject(question.name, question.key), wire.encode(message), { timeout: 5000 });
  }
  let after = before;
  for (let attempt = 0; attempt < 20; attempt++) { // an answer leaves before it is counted
    after = await all(client.stats(task.service));
    if (requests(after) - requests(before) >= task.requests.length) break;
    await setTimeout(20);
  }
  return { ping, info, one, before, after };
});
