import json

import ollama
from calls import AGE_SCHEMA, AGE_TEXT, ORIGIN, QUESTION, RESULT, WEATHER, call

client = ollama.Client(host=ORIGIN)
HELLO = [{"role": "user", "content": "Hello!"}]
OPTIONS = {"temperature": 0, "seed": 1}
TOOLS = [{"type": "function", "function": WEATHER}]


def chat(messages=HELLO, **more):
    return client.chat(model="tiny", messages=messages, options=OPTIONS, **more)


@call("lists", "list")
def _():
    assert client.list().models


@call("show", "show")
def _():
    assert client.show("tiny").details.format == "gguf"


@call("chat", "chat")
def _():
    assert chat().message.content


@call("stream", "chat, streamed")
def _():
    assert "".join(part.message.content for part in chat(stream=True)) == chat().message.content


@call("tools", "chat, tools")
def _():
    question = {"role": "user", "content": QUESTION}
    message = chat([question], tools=TOOLS).message
    assert message.tool_calls[0].function.arguments == {"city": "Paris"}
    result = {"role": "tool", "tool_name": "get_weather", "content": RESULT}
    assert "21" in chat([question, message, result], tools=TOOLS).message.content


@call("schema", "chat, schema")
def _():
    text = chat([{"role": "user", "content": AGE_TEXT}], format=AGE_SCHEMA).message.content
    assert isinstance(json.loads(text)["age"], int)


@call("chat", "generate")
def _():
    assert client.generate(model="tiny", prompt="Hello!", options=OPTIONS).response


@call("embed", "embed")
def _():
    assert len(client.embed(model="vectors", input=["one", "two"]).embeddings) == 2


@call("lists", "ps")
def _():
    assert client.ps().models


@call("stream", "generate, streamed")
def _():
    parts = client.generate(model="tiny", prompt="Hello!", options=OPTIONS, stream=True)
    assert "".join(part.response for part in parts)


@call("more", "create, copy, delete")
def _():
    assert client.create(model="made", from_="tiny", system="Be kind.").status == "success"
    client.copy("made", "copied")
    client.delete("made")
    client.delete("copied")


@call("errors", "an error, streamed")
def _():
    try:
        list(client.chat(model="nope", messages=HELLO, stream=True))
    except ollama.ResponseError as error:
        assert error.status_code == 404
    else:
        raise AssertionError("no error")


@call("errors", "an error")
def _():
    try:
        client.chat(model="nope", messages=HELLO)
    except ollama.ResponseError as error:
        assert error.status_code == 404
    else:
        raise AssertionError("no error")
