//go:build etcd

// etcd by its own client over gRPC. Reads are linearizable: it is the client's default.
package main

import (
	"context"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.uber.org/zap"
)

type etcd struct {
	client *clientv3.Client
}

func connect(endpoints []string) (store, error) {
	// What fails is counted and reported in the result; the client would log each of its attempts besides.
	silent := zap.NewProductionConfig()
	silent.Level = zap.NewAtomicLevelAt(zap.FatalLevel)
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   endpoints,
		DialTimeout: 5 * time.Second,
		LogConfig:   &silent,
	})
	return etcd{client}, err
}

func (e etcd) put(ctx context.Context, key, value string) error {
	_, err := e.client.Put(ctx, key, value)
	return err
}

func (e etcd) get(ctx context.Context, key string) (bool, error) {
	answer, err := e.client.Get(ctx, key)
	if err != nil {
		return false, err
	}
	return len(answer.Kvs) > 0, nil
}

func (e etcd) putAll(ctx context.Context, keys, values []string) error {
	puts := make([]clientv3.Op, len(keys))
	for at, key := range keys {
		puts[at] = clientv3.OpPut(key, values[at])
	}
	_, err := e.client.Txn(ctx).Then(puts...).Commit()
	return err
}

func (e etcd) close() {
	e.client.Close()
}
