import java.util.List;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.converter.BeanOutputConverter;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.ollama.OllamaChatModel;
import org.springframework.ai.ollama.OllamaEmbeddingModel;
import org.springframework.ai.ollama.api.OllamaApi;
import org.springframework.ai.ollama.api.OllamaChatOptions;
import org.springframework.ai.ollama.api.OllamaEmbeddingOptions;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.OpenAiEmbeddingModel;
import org.springframework.ai.openai.OpenAiEmbeddingOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.openai.api.ResponseFormat;
import org.springframework.ai.document.MetadataMode;
import org.springframework.ai.retry.RetryUtils;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;

final class SpringAi {
  private static final OllamaApi OLLAMA = OllamaApi.builder().baseUrl(Calls.ORIGIN).build();
  private static final OpenAiApi OPENAI =
      OpenAiApi.builder().baseUrl(Calls.ORIGIN).apiKey("none").build();
  private static final ToolCallback TOOL = FunctionToolCallback
      .builder("get_weather", (City city) -> {
        Calls.expect("Paris".equals(city.city()), city);
        return new Weather(21, "sunny");
      })
      .description("Get the current weather in a city")
      .inputType(City.class)
      .build();

  record City(String city) {}

  record Weather(int temperature, String condition) {}

  record Age(int age) {}

  public static void main(String[] arguments) {
    Calls.call("lists", "listModels", () ->
        Calls.expect(!OLLAMA.listModels().models().isEmpty(), "no models"));
    Calls.call("show", "showModel", () -> {
      var shown = OLLAMA.showModel(new OllamaApi.ShowModelRequest("tiny"));
      Calls.expect(shown.capabilities().contains("tools"), shown.capabilities());
    });
    chats("ollama", ollama("tiny"), ollama("nope"));
    Calls.call("schema", "ollama: format", () -> {
      var converter = new BeanOutputConverter<>(Age.class);
      var options = OllamaChatOptions.builder().model("tiny").temperature(0.0)
          .format(converter.getJsonSchemaMap()).build();
      expectAge(ollama("tiny"), new Prompt(Calls.AGE_TEXT, options), converter);
    });
    chats("openai", openAi("tiny"), openAi("nope"));
    Calls.call("schema", "openai: responseFormat", () -> {
      var converter = new BeanOutputConverter<>(Age.class);
      var format = new ResponseFormat(ResponseFormat.Type.JSON_SCHEMA, converter.getJsonSchema());
      var options = OpenAiChatOptions.builder().model("tiny").temperature(0.0)
          .responseFormat(format).build();
      expectAge(openAi("tiny"), new Prompt(Calls.AGE_TEXT, options), converter);
    });
    embeds("ollama", OllamaEmbeddingModel.builder().ollamaApi(OLLAMA)
        .defaultOptions(OllamaEmbeddingOptions.builder().model("vectors").build()).build());
    embeds("openai", new OpenAiEmbeddingModel(OPENAI, MetadataMode.EMBED,
        OpenAiEmbeddingOptions.builder().model("vectors").build(), RetryUtils.SHORT_RETRY_TEMPLATE));
    Calls.call("more", "copyModel, deleteModel", () -> {
      OLLAMA.copyModel(new OllamaApi.CopyModelRequest("tiny", "copied"));
      OLLAMA.deleteModel(new OllamaApi.DeleteModelRequest("copied"));
    });
    System.exit(0);
  }

  private static ChatModel ollama(String name) {
    return OllamaChatModel.builder().ollamaApi(OLLAMA)
        .defaultOptions(OllamaChatOptions.builder().model(name).temperature(0.0).build())
        .retryTemplate(RetryUtils.SHORT_RETRY_TEMPLATE)
        .build();
  }

  private static ChatModel openAi(String name) {
    return OpenAiChatModel.builder().openAiApi(OPENAI)
        .defaultOptions(OpenAiChatOptions.builder().model(name).temperature(0.0).build())
        .retryTemplate(RetryUtils.SHORT_RETRY_TEMPLATE)
        .build();
  }

  private static void chats(String name, ChatModel model, ChatModel missing) {
    Calls.call("chat", name + ": call", () -> {
      var answer = model.call(new Prompt(new UserMessage("Hello!")));
      Calls.expect(!answer.getResult().getOutput().getText().isEmpty(), answer);
      Calls.expect(answer.getMetadata().getUsage().getCompletionTokens() > 0, answer);
    });
    Calls.call("stream", name + ": stream", () -> {
      var parts = ChatClient.create(model).prompt("Hello!").stream().content().collectList().block();
      Calls.expect(!String.join("", parts).isEmpty(), parts);
    });
    // Of an object written without spaces tiny repeats the words alone.
    Calls.call("tools", name + ": a tool and its answer", () -> {
      var answer = ChatClient.create(model).prompt(Calls.QUESTION).toolCallbacks(TOOL)
          .call().content();
      Calls.expect(answer.contains("sunny"), answer);
    });
    Calls.call("tools", name + ": a tool and its answer, streamed", () -> {
      var parts = ChatClient.create(model).prompt(Calls.QUESTION).toolCallbacks(TOOL)
          .stream().content().collectList().block();
      Calls.expect(String.join("", parts).contains("sunny"), parts);
    });
    Calls.call("errors", name + ": a model that is not there", () -> {
      try {
        missing.call(new Prompt("Hello!"));
      } catch (RuntimeException error) {
        Calls.expect(error.toString().contains("not found"), error);
        return;
      }
      throw new AssertionError("no error");
    });
  }

  private static void expectAge(ChatModel model, Prompt prompt, BeanOutputConverter<Age> converter) {
    String text = model.call(prompt).getResult().getOutput().getText();
    Calls.expect(converter.convert(text) != null, text);
  }

  private static void embeds(String name, EmbeddingModel model) {
    Calls.call("embed", name + ": embed", () ->
        Calls.expect(model.embed(List.of("one", "two")).size() == 2, "vectors"));
  }
}
