from calls import AGE_TEXT, ORIGIN, QUESTION, RESULT, call
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider


class Age(BaseModel):
    age: int


OPENAI = {"base_url": f"{ORIGIN}/v1", "api_key": "none"}
MODELS = {
    "ollama": lambda model: OpenAIChatModel(
        model, provider=OllamaProvider(base_url=f"{ORIGIN}/v1")
    ),
    "openai": lambda model: OpenAIChatModel(model, provider=OpenAIProvider(**OPENAI)),
    "openai, responses": lambda model: OpenAIResponsesModel(
        model, provider=OpenAIProvider(**OPENAI)
    ),
    "anthropic": lambda model: AnthropicModel(
        model, provider=AnthropicProvider(base_url=ORIGIN, api_key="none")
    ),
}
SETTINGS = {"temperature": 0.0, "max_tokens": 200}


def calls_of(name, make):
    model = make("tiny")

    @call("chat", f"{name}: run")
    async def _():
        result = await Agent(model, model_settings=SETTINGS).run("Hello!")
        assert result.output and result.usage.output_tokens > 0

    @call("stream", f"{name}: run_stream")
    async def _():
        async with Agent(model, model_settings=SETTINGS).run_stream("Hello!") as result:
            assert "".join([part async for part in result.stream_text(delta=True)])

    @call("tools", f"{name}: a tool and its answer")
    async def _():
        agent = Agent(model, model_settings=SETTINGS)

        @agent.tool_plain
        def get_weather(city: str) -> str:
            """Get the current weather in a city"""
            assert city == "Paris"
            return RESULT

        assert "21" in (await agent.run(QUESTION)).output

    @call("tools", f"{name}: ToolOutput")
    async def _():
        agent = Agent(model, output_type=ToolOutput(Age), model_settings=SETTINGS)
        assert isinstance((await agent.run(AGE_TEXT)).output.age, int)

    # Of Anthropic's it has a list of models that can do so.
    if name != "anthropic":

        @call("schema", f"{name}: NativeOutput")
        async def _():
            agent = Agent(model, output_type=NativeOutput(Age), model_settings=SETTINGS)
            assert isinstance((await agent.run(AGE_TEXT)).output.age, int)

    @call("errors", f"{name}: a model that is not there")
    async def _():
        try:
            await Agent(make("nope")).run("Hello!")
        except ModelHTTPError as error:
            assert error.status_code == 404
        else:
            raise AssertionError("no error")


for each_name, each in MODELS.items():
    calls_of(each_name, each)
