//go:build nats

// The key-value interface of NATS JetStream by its own client: a bucket of three replicas in files, everything else by default.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

const bucket = "bench"
const replicas = 3

type jetstream struct {
	conn   *nats.Conn
	values nats.KeyValue
}

// The server that leads the bucket's replicas is asked directly, as the leaders of the other stores are.
func connect(endpoints []string) (store, error) {
	var last error
	for _, endpoint := range endpoints {
		conn, err := nats.Connect(endpoint, nats.Timeout(5*time.Second))
		if err != nil {
			last = err
			continue
		}
		found, isLeader, err := open(conn)
		if err == nil && isLeader {
			return found, nil
		}
		conn.Close()
		last = err
	}
	if last == nil {
		last = errors.New("no server leads the bucket")
	}
	return nil, last
}

func open(conn *nats.Conn) (store, bool, error) {
	streams, err := conn.JetStream(nats.MaxWait(time.Duration(*timeoutMs) * time.Millisecond))
	if err != nil {
		return nil, false, err
	}
	values, err := streams.KeyValue(bucket)
	if errors.Is(err, nats.ErrBucketNotFound) {
		values, err = streams.CreateKeyValue(&nats.KeyValueConfig{Bucket: bucket, Replicas: replicas})
	}
	if err != nil {
		return nil, false, err
	}
	info, err := streams.StreamInfo("KV_" + bucket)
	if err != nil {
		return nil, false, err
	}
	return jetstream{conn, values}, info.Cluster.Leader == conn.ConnectedServerName(), nil
}

func (j jetstream) put(_ context.Context, key, value string) error {
	_, err := j.values.Put(key, []byte(value))
	return err
}

func (j jetstream) get(_ context.Context, key string) (bool, error) {
	_, err := j.values.Get(key)
	if errors.Is(err, nats.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}

// It has no transactions: one after another.
func (j jetstream) putAll(ctx context.Context, keys, values []string) error {
	for at, key := range keys {
		if err := j.put(ctx, key, values[at]); err != nil {
			return err
		}
	}
	return nil
}

func (j jetstream) close() {
	j.conn.Close()
}
