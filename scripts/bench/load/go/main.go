// A load generator with a store's own Go client: puts, gets and transactions of puts, by a number of clients in a closed loop, or
// open-loop at a fixed rate with intended start times. Prints one line of JSON (load-result.ts). Which store is chosen by a build tag.
//
// Built with Debian's packages: GO111MODULE=off GOPATH=<folder>:/usr/share/gocode go build -tags etcd (or nats, or zookeeper).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	endpoints   = flag.String("endpoints", "http://127.0.0.1:2379", "addresses, with commas between them")
	operation   = flag.String("op", "put", "put, get, txn, or fill: each key once, in transactions")
	clients     = flag.Int("clients", 64, "clients in a closed loop")
	connections = flag.Int("connections", 0, "connections that the clients share; 0: one for 16 clients")
	seconds     = flag.Float64("seconds", 5, "how long")
	keys        = flag.Int("keys", 20000, "how many different keys")
	from        = flag.Int("from", 0, "the number of the first key to fill")
	keyBytes    = flag.Int("key-bytes", 0, "pad keys to this length")
	valueBytes  = flag.Int("value-bytes", 128, "length of a value")
	prefix      = flag.String("prefix", "bench/", "what keys begin with")
	batch       = flag.Int("batch", 128, "puts in a transaction")
	rate        = flag.Float64("rate", 0, "open loop at so many operations a second; 0: closed loop")
	timeoutMs   = flag.Int("timeout-ms", 5000, "how long an operation may take before it counts as an error")
	seed        = flag.Int64("seed", 1, "of keys and values")
)

// Requests of the open loop that are under way at most. More means that the store does not keep up with the rate.
const outstandingMax = 20000

const openLoopWorkers = 2000

// Values differ, and do not compress; a thousand of them are enough that no table of a store sees through it.
const valuesPrepared = 1000

// One connection to the store. Safe for many clients at once; file store_<tag>.go has `connect`.
type store interface {
	put(ctx context.Context, key, value string) error
	// Whether there is such a key.
	get(ctx context.Context, key string) (bool, error)
	// All in one transaction, where the store has them; a key comes once.
	putAll(ctx context.Context, keys, values []string) error
	close()
}

func main() {
	flag.Parse()
	values := prepareValues()
	conns := dial()
	run := &run{conns: conns, values: values}
	switch {
	case *operation == "fill":
		run.fill()
	case *rate > 0:
		run.openLoop()
	default:
		run.closedLoop()
	}
	for _, conn := range conns {
		conn.close()
	}
	line, err := json.Marshal(run.result())
	if err != nil {
		fail(err)
	}
	fmt.Println(string(line))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func dial() []store {
	count := *connections
	if count == 0 {
		count = (*clients + 15) / 16
	}
	conns := make([]store, count)
	for at := range conns {
		conn, err := connect(strings.Split(*endpoints, ","))
		if err != nil {
			fail(err)
		}
		conns[at] = conn
	}
	return conns
}

func prepareValues() []string {
	dice := rand.New(rand.NewSource(*seed))
	values := make([]string, valuesPrepared)
	for at := range values {
		value := make([]byte, *valueBytes)
		dice.Read(value)
		values[at] = string(value)
	}
	return values
}

func key(number int) string {
	text := fmt.Sprintf("%s%010d", *prefix, number)
	if len(text) < *keyBytes {
		text += strings.Repeat("x", *keyBytes-len(text))
	}
	return text
}

// One operation; how many keys it put or read.
func (r *run) perform(conn store, dice *rand.Rand) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*timeoutMs)*time.Millisecond)
	defer cancel()
	switch *operation {
	case "put":
		return 1, conn.put(ctx, key(dice.Intn(*keys)), r.values[dice.Intn(len(r.values))])
	case "get":
		isThere, err := conn.get(ctx, key(dice.Intn(*keys)))
		if err == nil && !isThere {
			return 0, fmt.Errorf("a key is missing: fill first")
		}
		return 1, err
	case "txn":
		names := make([]string, 0, *batch)
		values := make([]string, 0, *batch)
		taken := make(map[int]bool, *batch)
		for len(names) < *batch {
			number := dice.Intn(*keys)
			if !taken[number] {
				taken[number] = true
				names = append(names, key(number))
				values = append(values, r.values[dice.Intn(len(r.values))])
			}
		}
		return *batch, conn.putAll(ctx, names, values)
	}
	return 0, fmt.Errorf("no such operation: %s", *operation)
}

// The shared state of the workers of one run.
type run struct {
	conns   []store
	values  []string
	started time.Time
	ended   time.Time
	record  recorder
}

func (r *run) closedLoop() {
	r.started = time.Now()
	end := r.started.Add(time.Duration(*seconds * float64(time.Second)))
	var workers sync.WaitGroup
	for at := 0; at < *clients; at++ {
		workers.Add(1)
		go func(at int) {
			defer workers.Done()
			dice := rand.New(rand.NewSource(*seed*7919 + int64(at)))
			conn := r.conns[at%len(r.conns)]
			for {
				start := time.Now()
				if !start.Before(end) {
					return
				}
				count, err := r.perform(conn, dice)
				r.record.add(start.Sub(r.started), time.Since(r.started), count, err)
			}
		}(at)
	}
	workers.Wait()
	r.ended = time.Now()
}

// Requests start when they are due, whatever became of those before; latency counts from when they were due.
func (r *run) openLoop() {
	r.started = time.Now()
	total := int(*rate * *seconds)
	due := make(chan int, outstandingMax)
	var outstanding int64
	var workers sync.WaitGroup
	// What is due waits for a worker only when so many are at work; the wait counts as latency.
	for at := 0; at < openLoopWorkers; at++ {
		workers.Add(1)
		go func(at int) {
			defer workers.Done()
			dice := rand.New(rand.NewSource(*seed*7919 + int64(at)))
			for number := range due {
				intended := time.Duration(float64(number) / *rate * float64(time.Second))
				count, err := r.perform(r.conns[number%len(r.conns)], dice)
				r.record.add(intended, time.Since(r.started), count, err)
				atomic.AddInt64(&outstanding, -1)
			}
		}(at)
	}
	for number := 0; number < total; {
		now := time.Since(r.started)
		for number < total && float64(number)/(*rate)*float64(time.Second) <= float64(now) {
			intended := time.Duration(float64(number) / *rate * float64(time.Second))
			r.record.late(now - intended)
			if atomic.AddInt64(&outstanding, 1) > outstandingMax {
				atomic.AddInt64(&outstanding, -1)
				r.record.add(intended, now, 0, fmt.Errorf("more than %d requests were under way", outstandingMax))
			} else {
				due <- number
			}
			number++
		}
		time.Sleep(200 * time.Microsecond)
	}
	close(due)
	workers.Wait()
	r.ended = time.Now()
}

// Each key once, so that a get finds them all.
func (r *run) fill() {
	r.started = time.Now()
	next := int64(*from)
	var workers sync.WaitGroup
	for at := 0; at < *clients; at++ {
		workers.Add(1)
		go func(conn store) {
			defer workers.Done()
			for {
				first := int(atomic.AddInt64(&next, int64(*batch))) - *batch
				if first >= *keys {
					return
				}
				start := time.Since(r.started)
				names := make([]string, 0, *batch)
				values := make([]string, 0, *batch)
				for number := first; number < first+*batch && number < *keys; number++ {
					names = append(names, key(number))
					values = append(values, r.values[number%len(r.values)])
				}
				err := conn.putAll(context.Background(), names, values)
				r.record.add(start, time.Since(r.started), len(names), err)
			}
		}(r.conns[at%len(r.conns)])
	}
	workers.Wait()
	r.ended = time.Now()
}

func ownCPU() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
}
