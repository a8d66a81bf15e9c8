// Asks a member of etcd for commits, so many at a time, and measures each.
// Usage: etcd_client ENDPOINTS IN_FLIGHT WARMUP_MS RUN_MS; asks whichever of the endpoints leads.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
)

const (
	valueBytes = 256
	keys       = 500
)

type figures struct {
	Commits  int     `json:"commits"`
	Failures int     `json:"failures"`
	Seconds  float64 `json:"seconds"`
	P50Ms    float64 `json:"p50Ms"`
	P99Ms    float64 `json:"p99Ms"`
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return value
}

func connect(endpoint string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second})
	if err != nil {
		panic(err)
	}
	return client
}

func leader(endpoints []string) *clientv3.Client {
	for _, endpoint := range endpoints {
		client := connect(endpoint)
		status, err := client.Status(context.Background(), endpoint)
		if err == nil && status.Leader == status.Header.MemberId {
			return client
		}
		client.Close()
	}
	panic("no leader")
}

func main() {
	client := leader(strings.Split(os.Args[1], ","))
	inFlight, warmup, run := number(os.Args[2]), number(os.Args[3]), number(os.Args[4])
	begin := time.Now().Add(time.Duration(warmup) * time.Millisecond)
	end := begin.Add(time.Duration(run) * time.Millisecond)
	took := make([][]float64, inFlight)
	failures := make([]int, inFlight)
	var done sync.WaitGroup
	for worker := 0; worker < inFlight; worker++ {
		done.Add(1)
		go func(worker int) {
			defer done.Done()
			for serial := worker; time.Now().Before(end); serial += inFlight {
				value := strings.Repeat(string(rune('a'+serial%26)), valueBytes)
				asked := time.Now()
				_, err := client.Put(context.Background(), fmt.Sprintf("bench.k%d", serial%keys), value)
				answered := time.Now()
				if asked.Before(begin) || !answered.Before(end) {
					continue
				}
				if err != nil {
					failures[worker]++
					continue
				}
				took[worker] = append(took[worker], float64(answered.Sub(asked).Nanoseconds())/1e6)
			}
		}(worker)
	}
	done.Wait()
	var all []float64
	result := figures{Seconds: float64(run) / 1000}
	for worker := range took {
		all = append(all, took[worker]...)
		result.Failures += failures[worker]
	}
	sort.Float64s(all)
	result.Commits = len(all)
	if len(all) > 0 {
		result.P50Ms = all[len(all)/2]
		result.P99Ms = all[len(all)*99/100]
	}
	text, _ := json.Marshal(result)
	fmt.Println(string(text))
}
