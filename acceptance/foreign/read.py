"""Calls a command and hears the events that follow: as they pass, and from the stream by a consumer of its own."""

import wire


async def read(nats, task):
    heard = await nats.subscribe(f"{task['event']}.*")
    await nats.flush()
    ids = []
    for question in task["requests"]:
        message = wire.envelope("command", question["data"])
        ids.append(message["id"])
        await nats.request(wire.subject(question["name"], question["key"]), wire.encode(message), timeout=30)
    passing = [wire.seen(await heard.next_msg(timeout=30)) for _ in ids]

    consumer = await nats.jetstream().pull_subscribe(f"{task['event']}.*", durable="reader", stream=task["stream"])
    stored = []
    for message in await consumer.fetch(task["stored"], timeout=30):
        stored.append(wire.seen(message))
        await message.ack()
    return {"commands": ids, "passing": passing, "stored": stored}


wire.run(read)
