import instructor
from calls import AGE_TEXT, ORIGIN, call
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, field_validator


class Age(BaseModel):
    age: int


class Adult(BaseModel):
    age: int

    @field_validator("age")
    @classmethod
    def is_of_age(cls, age):
        if age < 18:
            raise ValueError("not of age")
        return age


WHERE = {"base_url": f"{ORIGIN}/v1", "api_key": "none", "max_retries": 0}
TEXT = [{"role": "user", "content": AGE_TEXT}]
ASKED = {"model": "tiny", "messages": TEXT, "temperature": 0, "max_tokens": 300, "max_retries": 0}


def calls_of(mode):
    client = instructor.from_openai(OpenAI(**WHERE), mode=instructor.Mode[mode])

    @call("tools" if mode == "TOOLS" else "schema", f"{mode}: create")
    def _():
        assert isinstance(client.chat.completions.create(response_model=Age, **ASKED).age, int)

    @call("stream", f"{mode}: create_partial")
    def _():
        parts = list(client.chat.completions.create_partial(response_model=Age, **ASKED))
        assert isinstance(parts[-1].age, int)

    @call("errors", f"{mode}: an answer that is not valid")
    def _():
        try:
            client.chat.completions.create(response_model=Adult, **ASKED)
        except Exception as error:
            assert "not of age" in str(error), error
        else:
            raise AssertionError("no error")


# Of JSON without a schema tiny does not know which keys are wanted.
for each in ("TOOLS", "JSON_SCHEMA"):
    calls_of(each)


@call("schema", "async: create")
async def _():
    client = instructor.from_openai(AsyncOpenAI(**WHERE), mode=instructor.Mode.JSON_SCHEMA)
    found = await client.chat.completions.create(response_model=Age, **ASKED)
    assert isinstance(found.age, int)


@call("schema", "from_provider ollama")
def _():
    client = instructor.from_provider(
        "ollama/tiny", base_url=f"{ORIGIN}/v1", mode=instructor.Mode.JSON_SCHEMA
    )
    found = client.chat.completions.create(
        response_model=Age, messages=TEXT, temperature=0, max_retries=0
    )
    assert isinstance(found.age, int)
