"""What the Python programs share."""
import asyncio
import inspect
import json
import os
import traceback

ORIGIN = os.environ["CLIENTS_ORIGIN"]
# One for all calls: clients keep connections, which are bound to it.
LOOP = asyncio.new_event_loop()
WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The name of the city"}},
        "required": ["city"],
    },
}
QUESTION = "What is the weather in Paris?"
RESULT = '{"temperature": 21, "condition": "sunny"}'
AGE_SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer"}},
    "required": ["age"],
    "additionalProperties": False,
}
AGE_TEXT = "Mia is 12 years old."


def call(kind, name):
    """Makes one call and tells how it went; the next one is made in any case. Kinds are the columns of `../table.ts`."""

    def run(body):
        try:
            made = body()
            if inspect.iscoroutine(made):
                LOOP.run_until_complete(made)
            print(json.dumps({"call": name, "kind": kind, "ok": True}), flush=True)
        except Exception:
            detail = traceback.format_exc()[-600:]
            print(json.dumps({"call": name, "kind": kind, "ok": False, "detail": detail}), flush=True)

    return run
