"""Calls a command and reads the answer, and the event that follows, with the Python SDK of CloudEvents.

The SDK has no binding for NATS. A NATS message has headers and a body as an HTTP message has, and the two bindings name
and escape the headers alike, so the SDK's HTTP binding reads it as it came.
"""

from cloudevents.core.bindings.http import HTTPMessage, from_http_event

import wire


def read(message):
    headers = dict(message.headers or {})
    event = from_http_event(HTTPMessage(headers, message.data))
    attributes = {**event.get_attributes(), "time": event.get_time().isoformat()}
    return {"headers": headers, "attributes": attributes, "data": event.get_data()}


async def cloud_events(nats, task):
    command = wire.envelope("command", task["data"])
    answer = await nats.request(wire.subject(task["command"], task["key"]), wire.encode(command), timeout=30)
    consumer = await nats.jetstream().pull_subscribe(f"{task['event']}.*", stream=task["stream"])
    [event] = await consumer.fetch(1, timeout=30)
    await event.ack()
    return {"command": command["id"], "answer": read(answer), "event": read(event)}


wire.run(cloud_events)
