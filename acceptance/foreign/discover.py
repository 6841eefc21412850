"""Finds services by the NATS services protocol (ADR-32).

nats-py can offer services and has no client that lists them, so the questions are plain requests with many answers. PING
and INFO are read by the types with which nats-py describes its own services. Its type of STATS is not used: it asks every
endpoint for `data`, which ADR-32 leaves to the service.
"""

import asyncio
import json

from nats.micro.service import ServiceInfo, ServicePing

import wire


async def ask(nats, question, instances, read=None):
    """The answers of so many instances to `$SRV.…`, in the order of their ids."""
    inbox = nats.new_inbox()
    subscription = await nats.subscribe(inbox)
    await nats.publish(f"$SRV.{question}", b"", reply=inbox)
    answers = [json.loads((await subscription.next_msg(timeout=30)).data) for _ in range(instances)]
    await subscription.unsubscribe()
    if read:
        answers = [read(answer).to_dict() for answer in answers]
    return sorted(answers, key=lambda answer: answer["id"])


async def discover(nats, task):
    name, instances = task["service"], task["instances"]
    everybody = await ask(nats, "PING", task["everybody"], ServicePing.from_dict)
    info = await ask(nats, f"INFO.{name}", instances, ServiceInfo.from_dict)
    one = await ask(nats, f"INFO.{name}.{info[0]['id']}", 1, ServiceInfo.from_dict)
    before = await stats(nats, name, instances)
    for question in task["requests"]:
        message = wire.envelope(question["kind"], question["data"])
        await nats.request(wire.subject(question["name"], question["key"]), wire.encode(message), timeout=30)
    after = before
    for _ in range(100):  # an answer leaves before it is counted
        after = await stats(nats, name, instances)
        if requests(after) - requests(before) >= len(task["requests"]):
            break
        await asyncio.sleep(0.02)
    return {"ping": everybody, "info": info, "one": one, "before": before, "after": after}


async def stats(nats, name, instances):
    return await ask(nats, f"STATS.{name}", instances)


def requests(stats):
    return sum(endpoint["num_requests"] for instance in stats for endpoint in instance["endpoints"])


wire.run(discover)
