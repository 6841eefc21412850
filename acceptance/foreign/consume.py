"""Takes over a durable of a Tidewire service: handles all that waits there but the last, which it gives back."""

import wire


async def consume(nats, task):
    consumer = await nats.jetstream().pull_subscribe_bind(task["consumer"], stream=task["stream"])
    *handled, last = await consumer.fetch(task["count"], timeout=30)
    for message in handled:
        await message.ack_sync()
    await last.nak()
    await nats.flush()
    return {"handled": [wire.seen(message) for message in handled], "given_back": wire.seen(last)}


wire.run(consume)
