use futures_util::StreamExt;
use ollama_rs::error::OllamaError;
use ollama_rs::generation::chat::request::ChatMessageRequest;
use ollama_rs::generation::chat::{ChatMessage, ChatMessageResponse};
use ollama_rs::generation::completion::request::GenerationRequest;
use ollama_rs::generation::embeddings::request::{EmbeddingsInput, GenerateEmbeddingsRequest};
use ollama_rs::generation::parameters::{FormatType, JsonStructure};
use ollama_rs::generation::tools::ToolInfo;
use ollama_rs::models::create::CreateModelRequest;
use ollama_rs::models::ModelOptions;
use ollama_rs::Ollama;
use serde_json::{json, Value};
use std::future::Future;

type Made = Result<(), Box<dyn std::error::Error>>;

const QUESTION: &str = "What is the weather in Paris?";
const RESULT: &str = r#"{"temperature": 21, "condition": "sunny"}"#;

/// Makes one call and tells how it went; the next one is made in any case. Kinds are the columns of `../table.ts`.
async fn call(kind: &str, name: &str, body: impl Future<Output = Made>) {
    let (call, kind) = (json!(name), json!(kind));
    match body.await {
        Ok(()) => println!(r#"{{"call":{call},"kind":{kind},"ok":true}}"#),
        Err(error) => {
            let detail = json!(format!("{error:?}"));
            println!(r#"{{"call":{call},"kind":{kind},"ok":false,"detail":{detail}}}"#);
        }
    }
}

fn expect(condition: bool, seen: impl std::fmt::Debug) -> Made {
    if condition {
        return Ok(());
    }
    Err(format!("unexpected: {seen:?}").into())
}

fn request(messages: Vec<ChatMessage>) -> ChatMessageRequest {
    ChatMessageRequest::new("tiny".into(), messages)
        .options(ModelOptions::default().temperature(0.0).seed(1))
}

fn user(content: &str) -> ChatMessage {
    ChatMessage::user(content.into())
}

fn tools() -> Vec<ToolInfo> {
    let city = json!({ "type": "string", "description": "The name of the city" });
    let tool = json!({
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the current weather in a city",
            "parameters": { "type": "object", "properties": { "city": city }, "required": ["city"] },
        },
    });
    vec![serde_json::from_value(tool).expect("a tool")]
}

async fn streamed(
    ollama: &Ollama,
    request: ChatMessageRequest,
) -> Result<Vec<ChatMessageResponse>, Box<dyn std::error::Error>> {
    let mut stream = ollama.send_chat_messages_stream(request).await?;
    let mut parts = Vec::new();
    while let Some(part) = stream.next().await {
        parts.push(part.map_err(|()| "a line that is none")?);
    }
    Ok(parts)
}

async fn chat(ollama: &Ollama) -> Made {
    let answer = ollama.send_chat_messages(request(vec![user("Hello!")])).await?;
    expect(!answer.message.content.is_empty() && answer.done, answer)
}

async fn chat_stream(ollama: &Ollama) -> Made {
    let parts = streamed(ollama, request(vec![user("Hello!")])).await?;
    let ended = parts.last().and_then(|part| part.final_data.clone());
    expect(parts.len() > 1 && ended.is_some_and(|data| data.eval_count > 0), parts)
}

async fn tool(ollama: &Ollama) -> Made {
    let asked = ollama.send_chat_messages(request(vec![user(QUESTION)]).tools(tools())).await?;
    let [used] = &asked.message.tool_calls[..] else {
        return expect(false, asked);
    };
    expect(used.function.arguments["city"] == "Paris", used)?;
    let messages = vec![user(QUESTION), asked.message.clone(), ChatMessage::tool(RESULT.into())];
    let answered = ollama.send_chat_messages(request(messages).tools(tools())).await?;
    expect(answered.message.content.contains("21"), answered)
}

async fn tool_stream(ollama: &Ollama) -> Made {
    let parts = streamed(ollama, request(vec![user(QUESTION)]).tools(tools())).await?;
    expect(parts.iter().flat_map(|part| &part.message.tool_calls).count() == 1, parts)
}

async fn format(ollama: &Ollama) -> Made {
    let schema = json!({
        "type": "object",
        "properties": { "age": { "type": "integer" } },
        "required": ["age"],
    });
    let structure = JsonStructure::new_for_schema(serde_json::from_value(schema)?);
    let asked = request(vec![user("Mia is 12 years old.")])
        .format(FormatType::StructuredJson(Box::new(structure)));
    let answer = ollama.send_chat_messages(asked).await?;
    let found: Value = serde_json::from_str(&answer.message.content)?;
    expect(found["age"].is_i64(), found)
}

async fn generate(ollama: &Ollama) -> Made {
    let answer = ollama.generate(GenerationRequest::new("tiny".into(), "Hello!")).await?;
    expect(!answer.response.is_empty() && answer.context.is_some(), answer)
}

async fn generate_stream(ollama: &Ollama) -> Made {
    let asked = GenerationRequest::new("tiny".into(), "Hello!");
    let mut stream = ollama.generate_stream(asked).await?;
    let mut done = false;
    while let Some(lines) = stream.next().await {
        done = lines?.last().is_some_and(|line| line.done);
    }
    expect(done, "no last line")
}

async fn embed(ollama: &Ollama) -> Made {
    let input = EmbeddingsInput::Multiple(vec!["one".into(), "two".into()]);
    let asked = GenerateEmbeddingsRequest::new("vectors".into(), input);
    expect(ollama.generate_embeddings(asked).await?.embeddings.len() == 2, "vectors")
}

async fn create(ollama: &Ollama) -> Made {
    let made = CreateModelRequest::new("made".into()).from_model("tiny".into());
    ollama.create_model(made).await?;
    ollama.copy_model("made".into(), "copied".into()).await?;
    ollama.delete_model("made".into()).await?;
    Ok(ollama.delete_model("copied".into()).await?)
}

async fn missing(ollama: &Ollama) -> Made {
    let asked = ChatMessageRequest::new("nope".into(), vec![user("Hello!")]);
    match ollama.send_chat_messages(asked).await {
        Err(OllamaError::InternalError(error)) => expect(error.message.contains("not found"), error),
        Err(OllamaError::Other(text)) => expect(text.contains("not found"), text),
        other => expect(false, other),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let origin = std::env::var("CLIENTS_ORIGIN").expect("an origin");
    let ollama = Ollama::try_new(origin).expect("an address");
    call("lists", "list_local_models", async {
        expect(!ollama.list_local_models().await?.is_empty(), "no models")
    })
    .await;
    call("show", "show_model_info", async {
        let shown = ollama.show_model_info("tiny".into()).await?;
        expect(shown.capabilities.contains(&"tools".into()), shown.capabilities)
    })
    .await;
    call("chat", "send_chat_messages", chat(&ollama)).await;
    call("stream", "send_chat_messages_stream", chat_stream(&ollama)).await;
    call("tools", "a tool and its answer", tool(&ollama)).await;
    call("tools", "a tool, streamed", tool_stream(&ollama)).await;
    call("schema", "format", format(&ollama)).await;
    call("chat", "generate", generate(&ollama)).await;
    call("stream", "generate_stream", generate_stream(&ollama)).await;
    call("embed", "generate_embeddings", embed(&ollama)).await;
    call("more", "create_model, copy_model, delete_model", create(&ollama)).await;
    call("errors", "a model that is not there", missing(&ollama)).await;
}
