"""All that a Python program must know of Tidewire's wire contract, and how the programs here talk to the one that checks.

Each program reads one JSON object from standard input, does what it says with a plain NATS client, and prints what it saw
as one JSON object. None of them judges: what is right is decided where both sides are known.
"""

import asyncio
import json
import re
import sys
import uuid
from datetime import datetime, timezone

import nats


def subject(name, key=None):
    """The subject of a message: its name, and its key as one more token if it has one."""
    return name if key is None else f"{name}.{token(key)}"


def token(key):
    """Any text as a token: every byte but `A-Z a-z 0-9 - _` is `=` and two upper-case hexadecimal digits."""
    return re.sub(rb"[^A-Za-z0-9_-]", lambda byte: b"=%02X" % ord(byte[0]), key.encode()).decode()


def envelope(kind, data, metadata=None):
    """The five fields, and no more. `kind` is event, command or query."""
    return {
        "type": kind,
        "id": f"py_{uuid.uuid4().hex}",
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "data": data,
        "metadata": metadata or {},
    }


def encode(message):
    return json.dumps(message).encode()


def seen(message):
    """What came, as JSON: its subject, its headers, and its body if it has one."""
    return {
        "subject": message.subject,
        "headers": dict(message.headers or {}),
        "body": json.loads(message.data) if message.data else None,
    }


def run(program):
    """Runs `program(nats_client, input)` and prints what it gives back."""

    async def connected():
        task = json.load(sys.stdin)
        client = await nats.connect(task["url"], connect_timeout=30, allow_reconnect=False)
        try:
            json.dump(await program(client, task), sys.stdout)
        finally:
            await client.close()

    asyncio.run(connected())
