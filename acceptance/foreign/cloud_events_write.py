"""Writes events, and one command, with the Python SDK of CloudEvents.

What the SDK's HTTP binding makes of an event, headers and body, goes out as a NATS message. The binding for NATS differs
from that for HTTP in one header: there the data's type is `ce-datacontenttype`, which `"mode": "nats"` writes; and before
NATS had headers it was the structured body alone, which `"mode": "bare"` writes.
"""

import json

from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

import wire


def encode(event, mode):
    if mode == "binary":
        return to_binary_event(event)
    if mode == "structured":
        return to_structured_event(event)
    if mode == "bare":
        return HTTPMessage({}, to_structured_event(event).body)
    message = to_binary_event(event)
    headers = {name: value for name, value in message.headers.items() if name != "content-type"}
    return HTTPMessage({**headers, "ce-datacontenttype": message.headers["content-type"]}, message.body)


async def write(nats, task):
    stream = nats.jetstream()
    sent = []
    for given in task["events"]:
        event = CloudEvent(attributes={"type": given["name"], **given["attributes"]}, data=given["data"])
        message = encode(event, given["mode"])
        await stream.publish(wire.subject(given["name"], given["key"]), message.body, headers=message.headers)
        sent.append({"id": event.get_id(), "time": event.get_time().isoformat()})

    asked = task["command"]
    command = CloudEvent(attributes={"type": asked["name"], "twkind": "command", **asked["attributes"]}, data=asked["data"])
    message = to_binary_event(command)
    answer = await nats.request(
        wire.subject(asked["name"], asked["key"]), message.body, timeout=30, headers=message.headers
    )
    return {"sent": sent, "command": command.get_id(), "answer": json.loads(answer.data)}


wire.run(write)
