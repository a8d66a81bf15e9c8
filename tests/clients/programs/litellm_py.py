import json
import os

from calls import AGE_SCHEMA, AGE_TEXT, ORIGIN, QUESTION, RESULT, WEATHER, call

# Else it fetches a list of prices at its start.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402

HELLO = [{"role": "user", "content": "Hello!"}]
TOOLS = [{"type": "function", "function": WEATHER}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "age", "schema": AGE_SCHEMA, "strict": True}}
PROVIDERS = {
    "ollama": {"api_base": ORIGIN},
    "ollama_chat": {"api_base": ORIGIN},
    "openai": {"api_base": f"{ORIGIN}/v1", "api_key": "none"},
    "anthropic": {"api_base": ORIGIN, "api_key": "none"},
}


def calls_of(provider, where):
    def complete(messages=HELLO, model="tiny", **more):
        return litellm.completion(
            model=f"{provider}/{model}",
            messages=messages,
            temperature=0,
            max_tokens=200,
            num_retries=0,
            **where,
            **more,
        )

    @call("chat", f"{provider}: completion")
    def _():
        answer = complete()
        assert answer.choices[0].message.content and answer.usage.completion_tokens > 0

    @call("stream", f"{provider}: completion, streamed")
    def _():
        chunks = list(complete(stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text == complete().choices[0].message.content, text

    @call("stream", f"{provider}: acompletion, streamed")
    async def _():
        stream = await litellm.acompletion(
            model=f"{provider}/tiny", messages=HELLO, stream=True, max_tokens=200, **where
        )
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    # The provider `ollama` writes tools into the prompt, in a form that tiny does not know.
    if provider != "ollama":

        @call("tools", f"{provider}: a tool and its answer")
        def _():
            question = {"role": "user", "content": QUESTION}
            message = complete([question], tools=TOOLS).choices[0].message
            [use] = message.tool_calls
            assert json.loads(use.function.arguments) == {"city": "Paris"}
            result = {"role": "tool", "tool_call_id": use.id, "content": RESULT}
            answer = complete([question, message.model_dump(), result], tools=TOOLS)
            assert "21" in answer.choices[0].message.content, answer

    @call("schema", f"{provider}: response_format")
    def _():
        question = [{"role": "user", "content": AGE_TEXT}]
        answer = complete(question, response_format=SCHEMA).choices[0].message.content
        assert isinstance(json.loads(answer)["age"], int)

    @call("errors", f"{provider}: a model that is not there")
    def _():
        try:
            complete(model="nope")
        except Exception as error:
            assert "not found" in str(error), error
        else:
            raise AssertionError("no error")


for each, each_where in PROVIDERS.items():
    calls_of(each, each_where)


@call("show", "ollama: get_model_info")
def _():
    os.environ["OLLAMA_API_BASE"] = ORIGIN
    assert litellm.get_model_info("ollama/tiny")["supports_function_calling"]


@call("embed", "ollama: embedding")
def _():
    answer = litellm.embedding("ollama/vectors", input=["one", "two"], api_base=ORIGIN)
    assert len(answer.data) == 2


@call("embed", "openai: embedding")
def _():
    where = PROVIDERS["openai"]
    answer = litellm.embedding("openai/vectors", input=["one", "two"], encoding_format="float", **where)
    assert len(answer.data) == 2
