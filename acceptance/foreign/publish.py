"""Publishes events to Tidewire's handlers: with the stream's ack, or as a plain message that the stream stores all the same."""

import wire


async def publish(nats, task):
    stream = nats.jetstream()
    sent = []
    for event in task["events"]:
        subject = wire.subject(event["name"], event["key"])
        message = wire.envelope("event", event["data"], event.get("metadata"))
        if event["ack"]:
            headers = {"Nats-Msg-Id": message["id"]}
            stored = await stream.publish(subject, wire.encode(message), headers=headers)
            again = await stream.publish(subject, wire.encode(message), headers=headers)
            acks = {"stream": stored.stream, "again": {"duplicate": again.duplicate, "same": again.seq == stored.seq}}
            sent.append({"id": message["id"], "acks": acks})
        else:
            await nats.publish(subject, wire.encode(message))
            sent.append({"id": message["id"], "acks": None})
    await nats.flush()
    return {"sent": sent}


wire.run(publish)
