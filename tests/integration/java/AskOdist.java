import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Asks as Java programs do that never chose a version of HTTP: twice, so that the connection is used again. */
public class AskOdist {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int time = 0; time < 2; time++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0] + "/api/generate"))
                .POST(HttpRequest.BodyPublishers.ofString("{\"model\":\"M\",\"prompt\":\"x\",\"stream\":false}"))
                .build();
            HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body());
        }
        HttpRequest streamed = HttpRequest.newBuilder(URI.create(arguments[0] + "/api/generate"))
            .POST(HttpRequest.BodyPublishers.ofString("{\"model\":\"M\",\"prompt\":\"x\"}"))
            .build();
        client.send(streamed, HttpResponse.BodyHandlers.ofLines()).body().forEach(System.out::println);
    }
}
