import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from calls import AGE_SCHEMA, AGE_TEXT, ORIGIN, QUESTION, WEATHER, call

START_TIMEOUT_S = 170
HELLO = [{"role": "user", "content": "Hello!"}]
TOOLS = [{"type": "function", "function": WEATHER}]
OPTIONS = {"temperature": 0, "seed": 1}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


folder = tempfile.TemporaryDirectory(prefix="odist-webui-", ignore_cleanup_errors=True)
base = f"http://127.0.0.1:{free_port()}"
server = subprocess.Popen(
    [os.path.join(os.path.dirname(sys.executable), "open-webui"), "serve", "--host", "127.0.0.1"]
    + ["--port", base.rsplit(":", 1)[1]],
    env={
        "PATH": os.environ["PATH"],
        "HOME": folder.name,
        "DATA_DIR": folder.name,
        "WEBUI_SECRET_KEY": "none",
        "WEBUI_AUTH": "False",
        "OLLAMA_BASE_URL": ORIGIN,
        "OPENAI_API_BASE_URL": f"{ORIGIN}/v1",
        "OPENAI_API_KEY": "none",
        # Its own models would come from a hub.
        "RAG_EMBEDDING_ENGINE": "ollama",
        "RAG_OLLAMA_BASE_URL": ORIGIN,
        "RAG_EMBEDDING_MODEL": "vectors",
        "HF_HUB_OFFLINE": "1",
        "OFFLINE_MODE": "True",
        "ENABLE_VERSION_UPDATE_CHECK": "False",
        "ANONYMIZED_TELEMETRY": "False",
    },
    cwd=folder.name,
    stdout=subprocess.DEVNULL,
    stderr=sys.stderr,
)
token = ""


def ask(path, body=None):
    """The text of an answer."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read().decode()


def begin():
    """Waits until it answers, then signs in."""
    global token
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            ask("/health")
            break
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(1)
    token = json.loads(ask("/api/v1/auths/signin", {"email": "", "password": ""}))["token"]


def complete(**more):
    return ask("/api/chat/completions", {"model": "tiny:latest", "messages": HELLO, **OPTIONS, **more})


try:
    begin()

    @call("lists", "its models")
    def _():
        ids = [model["id"] for model in json.loads(ask("/api/models"))["data"]]
        assert "tiny:latest" in ids, ids

    @call("lists", "ollama: tags")
    def _():
        assert json.loads(ask("/ollama/api/tags"))["models"]

    @call("lists", "ollama: version")
    def _():
        assert json.loads(ask("/ollama/api/version"))["version"]

    @call("show", "ollama: show")
    def _():
        assert json.loads(ask("/ollama/api/show", {"model": "tiny:latest"}))["details"]["format"] == "gguf"

    @call("chat", "chat/completions")
    def _():
        answer = json.loads(complete(stream=False))
        assert answer["choices"][0]["message"]["content"], answer

    @call("stream", "chat/completions, streamed")
    def _():
        text = complete(stream=True)
        assert text.count("data: ") > 2 and "[DONE]" in text, text

    @call("chat", "ollama: chat")
    def _():
        lines = ask("/ollama/api/chat", {"model": "tiny:latest", "messages": HELLO, "stream": True})
        assert json.loads(lines.strip().splitlines()[-1])["done"], lines

    @call("tools", "chat/completions, tools")
    def _():
        asked = [{"role": "user", "content": QUESTION}]
        answer = json.loads(complete(messages=asked, tools=TOOLS, stream=False))
        [use] = answer["choices"][0]["message"]["tool_calls"]
        arguments = use["function"]["arguments"]
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
        assert arguments == {"city": "Paris"}, answer

    @call("schema", "ollama: chat, format")
    def _():
        asked = [{"role": "user", "content": AGE_TEXT}]
        body = {"model": "tiny:latest", "messages": asked, "stream": False, "format": AGE_SCHEMA}
        answer = json.loads(ask("/ollama/api/chat", {**body, "options": OPTIONS}))
        assert isinstance(json.loads(answer["message"]["content"])["age"], int), answer

    @call("embed", "ollama: embed")
    def _():
        answer = json.loads(ask("/ollama/api/embed", {"model": "vectors:latest", "input": ["a", "b"]}))
        assert len(answer["embeddings"]) == 2

    @call("lists", "ollama: ps")
    def _():
        assert ask("/ollama/api/ps")

    @call("errors", "a model that is not there")
    def _():
        try:
            ask("/ollama/api/chat", {"model": "nope", "messages": HELLO, "stream": False})
        except urllib.error.HTTPError as error:
            assert error.code in (400, 404), error
        else:
            raise AssertionError("no error")
finally:
    server.terminate()
    server.wait()
    folder.cleanup()
