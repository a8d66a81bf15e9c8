import json

import openai
from calls import AGE_SCHEMA, AGE_TEXT, ORIGIN, QUESTION, RESULT, WEATHER, call

client = openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key="none", max_retries=0)
HELLO = [{"role": "user", "content": "Hello!"}]
TOOLS = [{"type": "function", "function": WEATHER}]


def chat(messages=HELLO, **more):
    return client.chat.completions.create(model="tiny", messages=messages, temperature=0, **more)


@call("lists", "models.list")
def _():
    assert list(client.models.list())


@call("chat", "chat.completions")
def _():
    assert chat().choices[0].finish_reason == "stop"


@call("stream", "chat.completions, streamed")
def _():
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chat(stream=True))
    assert text == chat().choices[0].message.content


@call("tools", "chat.completions, tools")
def _():
    question = {"role": "user", "content": QUESTION}
    message = chat([question], tools=TOOLS).choices[0].message
    use = message.tool_calls[0]
    assert json.loads(use.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": use.id, "content": RESULT}
    assert "21" in chat([question, message, result], tools=TOOLS).choices[0].message.content


@call("tools", "chat.completions, tool_choice and n")
def _():
    answer = chat(tools=TOOLS, tool_choice="required", n=2)
    assert all(len(choice.message.tool_calls) == 1 for choice in answer.choices)


@call("schema", "chat.completions, schema")
def _():
    schema = {"name": "age", "schema": AGE_SCHEMA, "strict": True}
    wanted = {"type": "json_schema", "json_schema": schema}
    answer = chat([{"role": "user", "content": AGE_TEXT}], response_format=wanted)
    assert isinstance(json.loads(answer.choices[0].message.content)["age"], int)


@call("more", "completions, prompts and tokens")
def _():
    assert len(client.completions.create(model="tiny", prompt=["a", "b"], max_tokens=4).choices) == 2
    assert client.completions.create(model="tiny", prompt=[5, 6], max_tokens=4).usage.prompt_tokens == 2


@call("more", "responses, stored")
def _():
    first = client.responses.create(model="tiny", input="Hello!", temperature=0)
    assert client.responses.retrieve(first.id).output_text == first.output_text
    then = client.responses.create(model="tiny", input="And?", previous_response_id=first.id)
    assert then.status == "completed"
    client.responses.delete(first.id)


@call("stream", "responses, streamed")
def _():
    with client.responses.stream(model="tiny", input="Hello!", temperature=0) as stream:
        for _event in stream:
            pass
        assert stream.get_final_response().output_text


@call("embed", "embeddings")
def _():
    assert len(client.embeddings.create(model="vectors", input=["one", "two"]).data) == 2


@call("errors", "an error")
def _():
    try:
        client.chat.completions.create(model="nope", messages=HELLO)
    except openai.NotFoundError:
        return
    raise AssertionError("no error")
