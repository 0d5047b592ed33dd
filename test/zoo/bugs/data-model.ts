// Mistakes in the data model: sessions, leases, locks, transactions and watches.
import type { Bug, Patch } from '../bug.ts'

const src = (file: string, find: string, replace: string): Patch => ({ file: `src/${file}`, find, replace })

export const DATA_MODEL_BUGS: readonly Bug[] = [
  {
    id: 'A2',
    what: 'a repeated write applies twice',
    isStarred: true,
    patches: [
      src(
        'kv/once.ts',
        "if (remembered !== undefined) return { kind: 'replayed', result: decodeResult(remembered.result) }",
        '',
      ),
      src('kv/session-table.ts', 'if (session.results.has(sequence)) assert(', 'if (sequence < 0) assert('),
    ],
    suites: ['test/kv/side.test.ts', 'test/node/data-locks.test.ts'],
  },
  {
    id: 'A3a',
    what: 'what sessions remember is lost when a state is opened',
    isStarred: true,
    patches: [
      src(
        'kv/side-tables.ts',
        'this.sessions.loadResult(parsed.session, parsed.sequence, { ...row, result: Buffer.from(value) })',
        'void [parsed.sequence, value, row]',
      ),
    ],
    suites: ['test/kv/state-machine-model.test.ts', 'test/node/data-locks.test.ts'],
  },
  {
    id: 'A3b',
    what: 'sessions are missing in a snapshot',
    isStarred: true,
    patches: [src('storage/state-db/snapshot-format.ts', "  [KEYSPACE.sessions, 'rows'],\n", '')],
    suites: ['test/storage/state-db/rows.test.ts'],
  },
  {
    id: 'A5a',
    what: 'the keys of a lease are deleted in the order of a Set',
    isStarred: true,
    patches: [src('kv/side-commands.ts', 'const found = [...lease.keys].sort()', 'const found = [...lease.keys]')],
    suites: ['test/kv/side.test.ts'],
  },
  {
    id: 'A5b',
    what: 'a scan in a transaction shows what it put in the order of a Set',
    patches: [src('kv/key-writer.ts', 'const inOrder = [...keys].sort()', 'const inOrder = [...keys]')],
    suites: ['test/kv/state-machine-model.test.ts', 'test/kv/txn.test.ts'],
  },
  {
    id: 'A7',
    what: 'a leader counts the time that it slept, or that others led',
    isStarred: true,
    patches: [
      src('node/cluster-clock.ts', 'Math.min(Math.max(nowMs - last, 0), this.#stepMsMax)', 'Math.max(nowMs - last, 0)'),
      src('node/cluster-clock.ts', '    this.#lastTickMs = undefined\n', ''),
    ],
    suites: ['test/node/expiry.test.ts'],
  },
  {
    id: 'A7b',
    what: 'a node that leads again goes on from what it had counted while it was cut off',
    patches: [
      src(
        'node/services.ts',
        'if (term !== this.#countedTerm) this.#clusterClock.begin(',
        'if (term < 0) this.#clusterClock.begin(',
      ),
    ],
    suites: ['test/node/expiry.test.ts'],
  },
  {
    id: 'A8',
    what: 'a lease ends though it was kept alive after the leader had found it due',
    isStarred: true,
    patches: [
      src(
        'kv/side-commands.ts',
        'lease === undefined || lease.expiresAtMs > this.#nowMs || due',
        'lease === undefined || due',
      ),
      src(
        'kv/side-commands.ts',
        '      if (lease.expiresAtMs > this.#nowMs) continue\n      yield* this.#end',
        '      yield* this.#end',
      ),
    ],
    suites: ['test/kv/side.test.ts', 'test/kv/state-machine-model.test.ts'],
  },
  {
    id: 'A15',
    what: 'a lock that was free gives out small tokens again',
    isStarred: true,
    patches: [
      src(
        'kv/side-commands.ts',
        'const token = ++this.#lastToken',
        'const token = (locks.queue(kind, name).at(-1)?.token ?? 0) + 1',
      ),
    ],
    suites: ['test/kv/lock-tokens.test.ts'],
  },
  {
    id: 'A16',
    what: 'a record that a transaction has fetched is let go when a later step asks for its pointer alone',
    isStarred: true,
    patches: [
      src(
        'storage/state-db/staging.ts',
        'if (held === undefined || !isWhole(held)) this.#slots.set',
        'if (held === undefined || held !== undefined) this.#slots.set',
      ),
    ],
    suites: ['test/storage/state-db/state-db.test.ts'],
    narrowedTo: 'asks for the pointer alone',
  },
  {
    id: 'W2',
    what: 'a watch has a gap after a snapshot',
    isStarred: true,
    patches: [src('node/watch-hub.ts', 'const before = this.#revision', 'const before = meta.revision')],
    suites: ['test/node/watch-slow.test.ts', 'test/node/data-model.test.ts'],
  },
  {
    id: 'W3',
    what: 'a watch from the future gets old events',
    isStarred: true,
    patches: [
      src('node/watcher.ts', '    if (revision <= this.#position) return\n    if (this.#stage', '    if (this.#stage'),
    ],
    suites: ['test/node/watch.test.ts'],
  },
]
