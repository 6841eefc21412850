// All that a JavaScript program must know of Tidewire's wire contract, and how the programs here talk to the one that checks.
//
// Each program reads one JSON object from standard input, does what it says with a plain NATS client, and prints what it
// saw as one JSON object. None of them judges: what is right is decided where both sides are known.

import { randomUUID } from "node:crypto";
import { text } from "node:stream/consumers";

import { connect, headers } from "@nats-io/transport-node";

/** The subject of a message: its name, and its key as one more token if it has one. */
export function subject(name, key) {
  return key === undefined ? name : `${name}.${token(key)}`;
}

/** Any text as a token: every byte but `A-Z a-z 0-9 - _` is `=` and two upper-case hexadecimal digits. */
export function token(key) {
  const escape = (byte) => `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  const plain = /[A-Za-z0-9_-]/;
  return [...new TextEncoder().encode(key)]
    .map((byte) => (plain.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : escape(byte)))
    .join("");
}

/** The five fields, and no more. `kind` is event, command or query. */
export function envelope(kind, data, metadata = {}) {
  const id = `js_${randomUUID()}`;
  return { type: kind, id, timestamp: new Date().toISOString(), data, metadata };
}

export function encode(message) {
  return JSON.stringify(message);
}

/** What came, as JSON: its subject, its headers, and its body if it has one. */
export function seen(message) {
  const named = [...(message.headers ?? [])].map(([name, values]) => [name, values[0]]);
  return {
    subject: message.subject,
    headers: Object.fromEntries(named),
    body: message.data.length > 0 ? message.json() : null,
  };
}

/** Headers as the client wants them. */
export function headersOf(named = {}) {
  const all = headers();
  for (const [name, value] of Object.entries(named)) all.set(name, value);
  return all;
}

/** Runs `program(natsClient, input)` and prints what it gives back. */
export async function run(program) {
  const task = JSON.parse(await text(process.stdin));
  const client = await connect({ servers: task.url, timeout: 30000, reconnect: false });
  try {
    console.log(JSON.stringify(await program(client, task)));
  } finally {
    await client.close();
  }
}
