package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/ollama/ollama/api"
)

const (
	question = "What is the weather in Paris?"
	result   = `{"temperature": 21, "condition": "sunny"}`
	weather  = `[{"type": "function", "function": {"name": "get_weather",
		"description": "Get the current weather in a city", "parameters": {"type": "object",
		"properties": {"city": {"type": "string", "description": "The name of the city"}},
		"required": ["city"]}}}]`
	age = `{"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}`
)

var (
	ctx     = context.Background()
	options = map[string]any{"temperature": 0, "seed": 1}
	no      = false
	client  *api.Client
	tools   api.Tools
)

// Makes one call and tells how it went; the next one is made in any case. Kinds are the columns of `../table.ts`.
func call(kind, name string, body func() error) {
	line := struct {
		Call   string `json:"call"`
		Kind   string `json:"kind"`
		OK     bool   `json:"ok"`
		Detail string `json:"detail,omitempty"`
	}{Call: name, Kind: kind, OK: true}
	if err := body(); err != nil {
		line.OK, line.Detail = false, err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(line)
}

func expect(condition bool, seen any) error {
	if condition {
		return nil
	}
	return fmt.Errorf("unexpected: %+v", seen)
}

// Sends a chat, and puts its lines together.
func chat(request api.ChatRequest) (whole api.ChatResponse, lines int, err error) {
	request.Model, request.Options = "tiny", options
	var content strings.Builder
	var calls []api.ToolCall
	err = client.Chat(ctx, &request, func(part api.ChatResponse) error {
		lines++
		content.WriteString(part.Message.Content)
		calls = append(calls, part.Message.ToolCalls...)
		whole = part
		return nil
	})
	whole.Message.Content, whole.Message.ToolCalls = content.String(), calls
	return whole, lines, err
}

func user(content string) api.Message {
	return api.Message{Role: "user", Content: content}
}

func isStatus(err error, code int) error {
	var status api.StatusError
	return expect(errors.As(err, &status) && status.StatusCode == code, err)
}

func lists() {
	call("lists", "Heartbeat", func() error { return client.Heartbeat(ctx) })
	call("lists", "Version", func() error {
		version, err := client.Version(ctx)
		return errors.Join(err, expect(version != "", version))
	})
	call("lists", "List", func() error {
		list, err := client.List(ctx)
		if err != nil {
			return err
		}
		return expect(len(list.Models) > 0 && len(list.Models[0].Digest) == 64, list)
	})
	call("show", "Show", func() error {
		shown, err := client.Show(ctx, &api.ShowRequest{Model: "tiny"})
		if err != nil {
			return err
		}
		return expect(shown.Details.Format == "gguf" && shown.Template != "", shown.Details)
	})
}

func chats() {
	call("chat", "Chat, not streamed", func() error {
		whole, lines, err := chat(api.ChatRequest{Messages: []api.Message{user("Hello!")}, Stream: &no})
		return errors.Join(err, expect(lines == 1 && whole.Done && whole.Message.Content != "", whole))
	})
	call("chat", "Generate", func() error {
		var text strings.Builder
		request := &api.GenerateRequest{Model: "tiny", Prompt: "Hello!", Options: options}
		err := client.Generate(ctx, request, func(part api.GenerateResponse) error {
			text.WriteString(part.Response)
			return nil
		})
		return errors.Join(err, expect(text.Len() > 0, "no text"))
	})
	call("stream", "Chat, streamed", func() error {
		whole, lines, err := chat(api.ChatRequest{Messages: []api.Message{user("Hello!")}})
		return errors.Join(err, expect(lines > 1 && whole.EvalCount > 0, whole))
	})
	call("tools", "Chat, a tool and its answer", func() error {
		asked, _, err := chat(api.ChatRequest{Messages: []api.Message{user(question)}, Tools: tools})
		if err != nil {
			return err
		}
		if len(asked.Message.ToolCalls) != 1 {
			return expect(false, asked)
		}
		use := asked.Message.ToolCalls[0]
		city, _ := use.Function.Arguments.Get("city")
		answer := api.Message{
			Role: "tool", Content: result, ToolName: use.Function.Name, ToolCallID: use.ID,
		}
		messages := []api.Message{user(question), asked.Message, answer}
		said, _, err := chat(api.ChatRequest{Messages: messages, Tools: tools})
		told := strings.Contains(said.Message.Content, "21")
		return errors.Join(err, expect(city == "Paris" && use.ID != "" && told, said))
	})
	call("schema", "Chat, format", func() error {
		messages := []api.Message{user("Mia is 12 years old.")}
		whole, _, err := chat(api.ChatRequest{Messages: messages, Format: json.RawMessage(age)})
		if err != nil {
			return err
		}
		var found struct{ Age *int }
		err = json.Unmarshal([]byte(whole.Message.Content), &found)
		return errors.Join(err, expect(found.Age != nil, whole))
	})
}

func models() {
	call("embed", "Embed", func() error {
		request := &api.EmbedRequest{Model: "vectors", Input: []string{"one", "two"}}
		answer, err := client.Embed(ctx, request)
		if err != nil {
			return err
		}
		return expect(len(answer.Embeddings) == 2, answer)
	})
	call("embed", "Embeddings", func() error {
		answer, err := client.Embeddings(ctx, &api.EmbeddingRequest{Model: "vectors", Prompt: "one"})
		if err != nil {
			return err
		}
		return expect(len(answer.Embedding) > 0, answer)
	})
	call("lists", "ListRunning", func() error {
		running, err := client.ListRunning(ctx)
		if err != nil {
			return err
		}
		return expect(len(running.Models) > 0, running)
	})
	call("more", "Create, Copy, Delete", func() error {
		ignore := func(api.ProgressResponse) error { return nil }
		made := &api.CreateRequest{Model: "made", From: "tiny", System: "Be kind."}
		return errors.Join(
			client.Create(ctx, made, ignore),
			client.Copy(ctx, &api.CopyRequest{Source: "made", Destination: "copied"}),
			client.Delete(ctx, &api.DeleteRequest{Model: "made"}),
			client.Delete(ctx, &api.DeleteRequest{Model: "copied"}),
		)
	})
	call("more", "CreateBlob", func() error {
		bytesOf := []byte("a blob")
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(bytesOf))
		return client.CreateBlob(ctx, digest, bytes.NewReader(bytesOf))
	})
}

func failures() {
	call("errors", "a model that is not there", func() error {
		request := &api.ChatRequest{Model: "nope", Messages: []api.Message{user("Hello!")}}
		return isStatus(client.Chat(ctx, request, func(api.ChatResponse) error { return nil }), 404)
	})
	call("errors", "Show, Delete", func() error {
		_, err := client.Show(ctx, &api.ShowRequest{Model: "nope"})
		return errors.Join(isStatus(err, 404),
			isStatus(client.Delete(ctx, &api.DeleteRequest{Model: "nope"}), 404))
	})
	call("errors", "Create, a blob that is not there", func() error {
		files := map[string]string{"model.gguf": "sha256:" + strings.Repeat("0", 64)}
		made := &api.CreateRequest{Model: "made", Files: files}
		err := client.Create(ctx, made, func(api.ProgressResponse) error { return nil })
		return expect(err != nil, "no error")
	})
	call("errors", "leaving a stream", func() error {
		left := errors.New("left")
		request := &api.ChatRequest{Model: "tiny", Messages: []api.Message{user("Hello!")}}
		err := client.Chat(ctx, request, func(api.ChatResponse) error { return left })
		return expect(errors.Is(err, left), err)
	})
}

func main() {
	base, err := url.Parse(os.Getenv("CLIENTS_ORIGIN"))
	if err != nil {
		panic(err)
	}
	client = api.NewClient(base, http.DefaultClient)
	if err := json.Unmarshal([]byte(weather), &tools); err != nil {
		panic(err)
	}
	lists()
	chats()
	models()
	failures()
}
