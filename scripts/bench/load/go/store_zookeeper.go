//go:build zookeeper

// ZooKeeper by the Go client that Debian has. A key is a node of the tree. A get is a sync and then a read, on one connection: the
// nearest to a linearizable read that there is, and not quite one (systems/zookeeper.ts says why).
package main

import (
	"context"
	"time"

	"github.com/samuel/go-zookeeper/zk"
)

const anyVersion = -1

// The nodes between the root and the keys hold nothing themselves.
var nothing = []byte{}

type zookeeper struct {
	conn *zk.Conn
}

// What fails is counted and reported in the result; the client would log each of its attempts besides.
type silent struct{}

func (silent) Printf(string, ...interface{}) {}

// The first endpoint is the leader. It alone is asked, as the leaders of the other stores are; given several, the client takes any.
func connect(endpoints []string) (store, error) {
	conn, _, err := zk.Connect(endpoints[:1], timeout(), zk.WithLogger(silent{}))
	if err != nil {
		return nil, err
	}
	connected := zookeeper{conn}
	for at, char := range *prefix {
		if char == '/' && at > 0 {
			if err := connected.create(context.Background(), (*prefix)[:at], nothing); err != nil && err != zk.ErrNodeExists {
				return nil, err
			}
		}
	}
	return connected, nil
}

func (z zookeeper) put(ctx context.Context, key, value string) error {
	err := z.set(ctx, key, []byte(value))
	if err != zk.ErrNoNode {
		return err
	}
	err = z.create(ctx, key, []byte(value))
	if err != zk.ErrNodeExists {
		return err
	}
	// Another client was quicker to create it.
	return z.set(ctx, key, []byte(value))
}

func (z zookeeper) set(ctx context.Context, key string, value []byte) error {
	return bounded(ctx, func() error {
		_, err := z.conn.Set(path(key), value, anyVersion)
		return err
	})
}

func (z zookeeper) create(ctx context.Context, key string, value []byte) error {
	return bounded(ctx, func() error {
		_, err := z.conn.Create(path(key), value, 0, zk.WorldACL(zk.PermAll))
		return err
	})
}

func (z zookeeper) get(ctx context.Context, key string) (bool, error) {
	err := bounded(ctx, func() error {
		if _, err := z.conn.Sync(path(key)); err != nil {
			return err
		}
		_, _, err := z.conn.Get(path(key))
		return err
	})
	if err == zk.ErrNoNode {
		return false, nil
	}
	return err == nil, err
}

// One transaction of sets; only where a node is missing are they told apart from creations.
func (z zookeeper) putAll(ctx context.Context, keys, values []string) error {
	sets := make([]interface{}, len(keys))
	for at, key := range keys {
		sets[at] = &zk.SetDataRequest{Path: path(key), Data: []byte(values[at]), Version: anyVersion}
	}
	err := z.multi(ctx, sets)
	if err != zk.ErrNoNode {
		return err
	}
	puts := make([]interface{}, len(keys))
	for at, key := range keys {
		isThere, err := z.exists(ctx, key)
		if err != nil {
			return err
		}
		puts[at] = sets[at]
		if !isThere {
			puts[at] = &zk.CreateRequest{Path: path(key), Data: []byte(values[at]), Acl: zk.WorldACL(zk.PermAll)}
		}
	}
	return z.multi(ctx, puts)
}

func (z zookeeper) multi(ctx context.Context, operations []interface{}) error {
	return bounded(ctx, func() error {
		_, err := z.conn.Multi(operations...)
		return err
	})
}

func (z zookeeper) exists(ctx context.Context, key string) (bool, error) {
	var isThere bool
	err := bounded(ctx, func() (err error) {
		isThere, _, err = z.conn.Exists(path(key))
		return err
	})
	if err != nil {
		return false, err
	}
	return isThere, nil
}

func (z zookeeper) close() {
	_ = bounded(context.Background(), func() error {
		z.conn.Close()
		return nil
	})
}

func path(key string) string {
	return "/" + key
}

func timeout() time.Duration {
	return time.Duration(*timeoutMs) * time.Millisecond
}

// The client knows no contexts, and waits for as long as its connection lives or is made anew. What comes too late is not waited for.
func bounded(ctx context.Context, operation func() error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- operation() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
