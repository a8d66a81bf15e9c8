import json

import anthropic
from calls import AGE_SCHEMA, AGE_TEXT, ORIGIN, QUESTION, RESULT, WEATHER, call

client = anthropic.Anthropic(base_url=ORIGIN, api_key="none", max_retries=0)
HELLO = [{"role": "user", "content": "Hello!"}]
TOOLS = [{
    "name": WEATHER["name"],
    "description": WEATHER["description"],
    "input_schema": WEATHER["parameters"],
}]
SHARED = {"model": "tiny", "max_tokens": 200}


@call("lists", "models.list")
def _():
    assert list(client.models.list())


@call("chat", "messages")
def _():
    assert client.messages.create(messages=HELLO, **SHARED).content[0].text


@call("stream", "messages, streamed")
def _():
    with client.messages.stream(messages=HELLO, **SHARED) as stream:
        assert "".join(stream.text_stream)
        assert stream.get_final_message().usage.output_tokens > 0


@call("tools", "messages, tools")
def _():
    question = {"role": "user", "content": QUESTION}
    asked = client.messages.create(messages=[question], tools=TOOLS, **SHARED)
    use = next(block for block in asked.content if block.type == "tool_use")
    assert use.input == {"city": "Paris"}
    result = {"type": "tool_result", "tool_use_id": use.id, "content": RESULT}
    messages = [
        question,
        {"role": "assistant", "content": asked.content},
        {"role": "user", "content": [result]},
    ]
    assert "21" in client.messages.create(messages=messages, tools=TOOLS, **SHARED).content[0].text


@call("schema", "messages, output_config")
def _():
    question = [{"role": "user", "content": AGE_TEXT}]
    wanted = {"format": {"type": "json_schema", "schema": AGE_SCHEMA}}
    answer = client.messages.create(messages=question, output_config=wanted, **SHARED)
    assert isinstance(json.loads(answer.content[0].text)["age"], int)


@call("more", "messages.count_tokens")
def _():
    assert client.messages.count_tokens(model="tiny", messages=HELLO).input_tokens > 0


@call("errors", "an error")
def _():
    try:
        client.messages.create(messages=HELLO, model="nope", max_tokens=1)
    except anthropic.NotFoundError:
        return
    raise AssertionError("no error")
