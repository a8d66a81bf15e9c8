from calls import AGE_TEXT, ORIGIN, QUESTION, call
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.ollama import OllamaEmbedding
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class Age(BaseModel):
    age: int


def get_weather(city: str) -> str:
    """Get the current weather in a city"""
    return f"sunny in {city}"


TOOL = FunctionTool.from_defaults(get_weather)
HELLO = [ChatMessage(role="user", content="Hello!")]
OPENAI = {"api_base": f"{ORIGIN}/v1", "api_key": "none", "max_retries": 0}


def models():
    yield "ollama", lambda model: Ollama(model=model, base_url=ORIGIN, temperature=0)
    yield "openai-like", lambda model: OpenAILike(
        model=model,
        is_chat_model=True,
        is_function_calling_model=True,
        temperature=0,
        context_window=2048,
        max_tokens=200,
        **OPENAI,
    )


def calls_of(name, make):
    model = make("tiny")

    @call("show", f"{name}: metadata")
    def _():
        assert model.metadata.context_window > 0 and model.metadata.is_function_calling_model

    @call("chat", f"{name}: chat")
    def _():
        assert model.chat(HELLO).message.content

    @call("chat", f"{name}: complete")
    def _():
        assert model.complete("Hello!").text

    @call("stream", f"{name}: stream_chat")
    def _():
        assert "".join(part.delta or "" for part in model.stream_chat(HELLO))

    @call("stream", f"{name}: astream_chat")
    async def _():
        parts = [part.delta or "" async for part in await model.astream_chat(HELLO)]
        assert "".join(parts)

    @call("tools", f"{name}: chat_with_tools")
    def _():
        answer = model.chat_with_tools([TOOL], user_msg=QUESTION)
        [use] = model.get_tool_calls_from_response(answer)
        assert use.tool_kwargs == {"city": "Paris"}, use

    @call("tools", f"{name}: predict_and_call")
    def _():
        answer = model.predict_and_call([TOOL], user_msg=QUESTION)
        assert "sunny in Paris" in str(answer), answer

    @call("schema", f"{name}: structured_predict")
    def _():
        found = model.structured_predict(Age, PromptTemplate("{text}"), text=AGE_TEXT)
        assert isinstance(found.age, int)

    @call("errors", f"{name}: a model that is not there")
    def _():
        try:
            make("nope").chat(HELLO)
        except Exception as error:
            assert "not found" in str(error), error
        else:
            raise AssertionError("no error")


for each_name, each in models():
    calls_of(each_name, each)


@call("embed", "OllamaEmbedding")
def _():
    embedding = OllamaEmbedding(model_name="vectors", base_url=ORIGIN)
    assert len(embedding.get_text_embedding_batch(["one", "two"])) == 2
    assert embedding.get_query_embedding("one")
