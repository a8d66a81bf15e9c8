from calls import AGE_SCHEMA, AGE_TEXT, ORIGIN, QUESTION, RESULT, WEATHER, call
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

OPENAI = {"base_url": f"{ORIGIN}/v1", "api_key": "none", "max_retries": 0}
ANTHROPIC = {"base_url": ORIGIN, "api_key": "none", "max_retries": 0, "max_tokens": 200}
TOOLS = [{"type": "function", "function": WEATHER}]
AGE = {"title": "age", "description": "Somebody's age", **AGE_SCHEMA}


def makers():
    yield "ollama", lambda model: ChatOllama(model=model, base_url=ORIGIN, temperature=0)
    yield "ollama, model validated", lambda model: ChatOllama(
        model=model, base_url=ORIGIN, temperature=0, validate_model_on_init=True
    )
    yield "openai", lambda model: ChatOpenAI(model=model, temperature=0, **OPENAI)
    yield "openai, responses", lambda model: ChatOpenAI(
        model=model, temperature=0, use_responses_api=True, **OPENAI
    )
    yield "anthropic", lambda model: ChatAnthropic(model=model, temperature=0, **ANTHROPIC)


def calls_of(name, make):
    model = make("tiny")

    @call("chat", f"{name}: invoke")
    def _():
        answer = model.invoke("Hello!")
        assert answer.text and answer.usage_metadata["output_tokens"] > 0

    @call("chat", f"{name}: batch")
    def _():
        assert all(answer.text for answer in model.batch(["Hello!", "Hi"]))

    @call("stream", f"{name}: stream")
    def _():
        assert "".join(chunk.text for chunk in model.stream("Hello!"))

    @call("stream", f"{name}: astream")
    async def _():
        assert "".join([chunk.text async for chunk in model.astream("Hello!")])

    @call("tools", f"{name}: bind_tools and an answer")
    def _():
        bound = model.bind_tools(TOOLS)
        question = HumanMessage(QUESTION)
        asked = bound.invoke([question])
        [use] = asked.tool_calls
        assert use["args"] == {"city": "Paris"}, use
        result = ToolMessage(RESULT, tool_call_id=use["id"])
        assert "21" in bound.invoke([question, asked, result]).text

    @call("tools", f"{name}: bind_tools, streamed")
    def _():
        whole = None
        for chunk in model.bind_tools(TOOLS).stream(QUESTION):
            whole = chunk if whole is None else whole + chunk
        assert [use["args"] for use in whole.tool_calls] == [{"city": "Paris"}], whole.tool_calls

    @call("schema", f"{name}: with_structured_output")
    def _():
        assert isinstance(model.with_structured_output(AGE).invoke(AGE_TEXT)["age"], int)

    @call("errors", f"{name}: a model that is not there")
    def _():
        try:
            make("nope").invoke("Hello!")
        except Exception as error:
            assert "not found" in str(error), error
        else:
            raise AssertionError("no error")


for each_name, each in makers():
    calls_of(each_name, each)


@call("chat", "OllamaLLM")
def _():
    assert OllamaLLM(model="tiny", base_url=ORIGIN).invoke("Hello!")


@call("embed", "OllamaEmbeddings")
def _():
    embeddings = OllamaEmbeddings(model="vectors", base_url=ORIGIN)
    assert len(embeddings.embed_documents(["one", "two"])) == 2


@call("embed", "OpenAIEmbeddings, texts and tokens")
def _():
    plain = OpenAIEmbeddings(model="vectors", check_embedding_ctx_length=False, **OPENAI)
    assert len(plain.embed_documents(["one", "two"])) == 2
