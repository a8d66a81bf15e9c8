// Runs directives, one JSON object a line, through the interaction harness of an installed etcd core and answers each
// with one JSON string. A line with command "reset" starts over. A panic is answered as "PANIC" and its text.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/cockroachdb/datadriven"
	"go.etcd.io/etcd/raft/rafttest"
)

type directive struct {
	Command string
	Args    []struct {
		Key    string
		Values []string
	}
	Input string
}

func run(env *rafttest.InteractionEnv, d directive) (output string) {
	data := datadriven.TestData{Cmd: d.Command, Input: d.Input}
	for _, arg := range d.Args {
		data.CmdArgs = append(data.CmdArgs, datadriven.CmdArg{Key: arg.Key, Vals: arg.Values})
	}
	// In a goroutine of its own, because a failed check of the harness ends the goroutine it runs in.
	done := make(chan string, 1)
	go func() {
		answer := "ABORTED"
		defer func() {
			if problem := recover(); problem != nil {
				answer = fmt.Sprint("PANIC ", problem)
			}
			done <- answer
		}()
		answer = env.Handle(&testing.T{}, data)
	}()
	return <-done
}

func main() {
	env := rafttest.NewInteractionEnv(nil)
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(make([]byte, 1<<20), 1<<20)
	output := bufio.NewWriter(os.Stdout)
	for input.Scan() {
		var d directive
		if err := json.Unmarshal(input.Bytes(), &d); err != nil {
			panic(err)
		}
		answer := "ok"
		if d.Command == "reset" {
			env = rafttest.NewInteractionEnv(nil)
		} else {
			answer = run(env, d)
		}
		line, _ := json.Marshal(answer)
		output.Write(append(line, '\n'))
		output.Flush()
	}
}
