"""Sends commands and queries, and shows each answer; or that nobody is there."""

from nats.errors import NoRespondersError

import wire


async def request(nats, task):
    answers = []
    for question in task["requests"]:
        subject = question.get("subject") or wire.subject(question["name"], question.get("key"))
        message = wire.envelope(question["kind"], question["data"], question.get("metadata"))
        body = question["raw"].encode() if "raw" in question else wire.encode(message)
        try:
            answer = await nats.request(subject, body, timeout=30, headers=question.get("headers"))
            answers.append({"id": message["id"], **wire.seen(answer)})
        except NoRespondersError:
            answers.append({"id": message["id"], "nobody": True})
    return {"answers": answers}


wire.run(request)
