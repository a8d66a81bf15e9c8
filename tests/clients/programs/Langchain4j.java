import dev.langchain4j.agent.tool.P;
import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.ollama.OllamaChatModel;
import dev.langchain4j.model.ollama.OllamaEmbeddingModel;
import dev.langchain4j.model.ollama.OllamaModels;
import dev.langchain4j.model.ollama.OllamaStreamingChatModel;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiEmbeddingModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.service.AiServices;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

final class Langchain4j {
  private static final String V1 = Calls.ORIGIN + "/v1";
  private static final ToolSpecification WEATHER = ToolSpecification.builder()
      .name("get_weather")
      .description("Get the current weather in a city")
      .parameters(JsonObjectSchema.builder()
          .addStringProperty("city", "The name of the city")
          .required("city")
          .build())
      .build();

  interface Assistant {
    String ask(String question);
  }

  static final class Weather {
    @Tool(name = "get_weather", value = "Get the current weather in a city")
    String weather(@P(name = "city", value = "The name of the city") String city) {
      Calls.expect(city.equals("Paris"), city);
      return Calls.RESULT;
    }
  }

  public static void main(String[] arguments) {
    OllamaModels models = OllamaModels.builder().baseUrl(Calls.ORIGIN).maxRetries(0).build();
    Calls.call("lists", "availableModels", () ->
        Calls.expect(!models.availableModels().content().isEmpty(), "no models"));
    Calls.call("show", "modelCard", () -> {
      var card = models.modelCard("tiny").content();
      Calls.expect(card.getCapabilities().contains("tools"), card.getCapabilities());
      Calls.expect(card.getModifiedAt() != null && card.getTemplate() != null, card.getTemplate());
    });
    chats("ollama", ollama("tiny"), ollama("nope"));
    streams("ollama", OllamaStreamingChatModel.builder()
        .baseUrl(Calls.ORIGIN).modelName("tiny").temperature(0.0).build());
    chats("openai", openAi("tiny"), openAi("nope"));
    streams("openai", OpenAiStreamingChatModel.builder()
        .baseUrl(V1).apiKey("none").modelName("tiny").temperature(0.0).build());
    Calls.call("lists", "runningModels", () ->
        Calls.expect(!models.runningModels().content().isEmpty(), "none"));
    embeds("ollama", OllamaEmbeddingModel.builder()
        .baseUrl(Calls.ORIGIN).modelName("vectors").maxRetries(0).build());
    embeds("openai", OpenAiEmbeddingModel.builder()
        .baseUrl(V1).apiKey("none").modelName("vectors").maxRetries(0).build());
    System.exit(0);
  }

  private static ChatModel ollama(String name) {
    return OllamaChatModel.builder()
        .baseUrl(Calls.ORIGIN).modelName(name).temperature(0.0).maxRetries(0).build();
  }

  private static ChatModel openAi(String name) {
    return OpenAiChatModel.builder()
        .baseUrl(V1).apiKey("none").modelName(name).temperature(0.0).maxRetries(0).build();
  }

  private static void chats(String name, ChatModel model, ChatModel missing) {
    Calls.call("chat", name + ": chat", () -> {
      ChatResponse answer = model.chat(UserMessage.from("Hello!"));
      Calls.expect(!answer.aiMessage().text().isEmpty(), answer);
      Calls.expect(answer.tokenUsage().outputTokenCount() > 0, answer);
    });
    Calls.call("tools", name + ": a tool and its answer", () -> {
      UserMessage question = UserMessage.from(Calls.QUESTION);
      var asked = model.chat(ChatRequest.builder()
          .messages(question).toolSpecifications(WEATHER).build()).aiMessage();
      ToolExecutionRequest use = asked.toolExecutionRequests().get(0);
      Calls.expect(use.arguments().contains("Paris"), use);
      var result = ToolExecutionResultMessage.from(use, Calls.RESULT);
      var answered = model.chat(ChatRequest.builder()
          .messages(question, asked, result).toolSpecifications(WEATHER).build());
      Calls.expect(answered.aiMessage().text().contains("21"), answered);
    });
    Calls.call("tools", name + ": AiServices", () -> {
      var assistant = AiServices.builder(Assistant.class)
          .chatModel(model).tools(new Weather()).build();
      String answer = assistant.ask(Calls.QUESTION);
      Calls.expect(answer.contains("21"), answer);
    });
    Calls.call("schema", name + ": responseFormat", () -> {
      var schema = JsonSchema.builder().name("age")
          .rootElement(JsonObjectSchema.builder().addIntegerProperty("age").required("age").build())
          .build();
      var format = ResponseFormat.builder().type(ResponseFormatType.JSON).jsonSchema(schema).build();
      String text = model.chat(ChatRequest.builder()
          .messages(UserMessage.from(Calls.AGE_TEXT)).responseFormat(format).build())
          .aiMessage().text();
      Calls.expect(text.matches("(?s)\\s*\\{\\s*\"age\"\\s*:\\s*-?\\d+\\s*}\\s*"), text);
    });
    Calls.call("errors", name + ": a model that is not there", () -> {
      try {
        missing.chat("Hello!");
      } catch (ModelNotFoundException error) {
        return;
      }
      throw new AssertionError("no error");
    });
  }

  private static void streams(String name, StreamingChatModel model) {
    Calls.call("stream", name + ": chat, streamed", () -> {
      ChatResponse whole = streamed(model, ChatRequest.builder()
          .messages(UserMessage.from("Hello!")).build());
      Calls.expect(whole.tokenUsage().outputTokenCount() > 0, whole);
    });
    Calls.call("tools", name + ": a tool, streamed", () -> {
      ChatResponse whole = streamed(model, ChatRequest.builder()
          .messages(UserMessage.from(Calls.QUESTION)).toolSpecifications(WEATHER).build());
      var uses = whole.aiMessage().toolExecutionRequests();
      Calls.expect(uses.size() == 1 && uses.get(0).arguments().contains("Paris"), uses);
    });
  }

  private static ChatResponse streamed(StreamingChatModel model, ChatRequest request)
      throws Exception {
    StringBuilder text = new StringBuilder();
    CompletableFuture<ChatResponse> ended = new CompletableFuture<>();
    model.chat(request, new StreamingChatResponseHandler() {
      @Override
      public void onPartialResponse(String part) {
        text.append(part);
      }

      @Override
      public void onCompleteResponse(ChatResponse response) {
        ended.complete(response);
      }

      @Override
      public void onError(Throwable error) {
        ended.completeExceptionally(error);
      }
    });
    ChatResponse whole = ended.get(60, TimeUnit.SECONDS);
    String said = whole.aiMessage().text();
    Calls.expect(text.toString().equals(said == null ? "" : said), text + " / " + said);
    return whole;
  }

  private static void embeds(String name, EmbeddingModel model) {
    Calls.call("embed", name + ": embedAll", () -> {
      var segments = List.of(TextSegment.from("one"), TextSegment.from("two"));
      Calls.expect(model.embedAll(segments).content().size() == 2, "vectors");
    });
  }
}
