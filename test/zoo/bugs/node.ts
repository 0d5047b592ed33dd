// Mistakes around the core: the driver, the state machine, the transport, HTTP and the client.
import type { Bug, Patch } from '../bug.ts'

const src = (file: string, find: string, replace: string): Patch => ({ file: `src/${file}`, find, replace })

export const NODE_BUGS: readonly Bug[] = [
  {
    id: 'R5',
    what: 'a confirmed read is answered before the state has got that far',
    patches: [
      src(
        'node/reads.ts',
        'const ready = this.#confirmed.filter(({ index }) => index <= applied)',
        'const ready = this.#confirmed.filter(({ index }) => index <= Infinity)',
      ),
    ],
    suites: ['test/node/reads.test.ts'],
  },
  {
    id: 'A4',
    what: 'apply looks at the clock of its machine',
    isStarred: true,
    patches: [
      src(
        'kv/state-machine.ts',
        'Math.max(before.clusterTimeMs, stampMs)',
        'Math.max(before.clusterTimeMs, stampMs, Date.now())',
      ),
    ],
    suites: ['test/kv/state-machine.test.ts'],
  },
  {
    id: 'A13',
    what: 'a key that was deleted and made again goes on counting its versions',
    patches: [
      src(
        'kv/key-writer.ts',
        'isTombstone ? 0 : (current?.version ?? 0) + 1',
        'isTombstone ? 0 : (last?.version ?? 0) + (last?.isTombstone === true ? 2 : 1)',
      ),
    ],
    suites: ['test/kv/state-machine.test.ts'],
  },
  {
    id: 'A11',
    what: 'the digest does not see values change',
    isStarred: true,
    patches: [src('kv/digest.ts', 'hasher.number(1).bytes(record.value)', 'hasher.number(record.value.length)')],
    suites: ['test/kv/digest.test.ts'],
    beyondSimulation: 'it blinds a check, and breaks no replica',
  },
  {
    id: 'D11',
    what: 'members of another cluster are let in',
    isStarred: true,
    patches: [
      src(
        'transport/handshake.ts',
        '    if (challenge.clusterId !== this.#context.clusterId)\n      return this.#refuse(clusterRefusal(this.#context, challenge.clusterId))\n',
        '',
      ),
      src(
        'transport/handshake.ts',
        '    if (hello.clusterId !== clusterId) return clusterRefusal(this.#context, hello.clusterId)\n',
        '',
      ),
    ],
    suites: ['test/transport/handshake-machines.test.ts'],
    beyondSimulation: 'its members all belong to one cluster',
  },
  {
    id: 'D8b',
    what: 'nobody looks whether the disk is nearly full',
    patches: [src('node/space-guard.ts', "freeBytes >= this.#reserveBytes ? 'enough'", "freeBytes >= 0 ? 'enough'")],
    suites: ['test/node/lifecycle.test.ts'],
  },
  {
    id: 'N1',
    what: 'a tick after a stall counts before the sockets are read',
    isStarred: true,
    patches: [src('node/node-driver.ts', 'clock.soon(() => this.#tick())', 'this.#tick()')],
    suites: ['test/node/stall.test.ts'],
  },
  {
    id: 'N6',
    what: 'the applier does not look whether it was stopped while it waited for a read',
    patches: [
      src(
        'node/applier.ts',
        '      if (this.#isStopped) return\n      execution.execute()',
        '      execution.execute()',
      ),
    ],
    suites: ['test/node/applier.test.ts'],
  },
  {
    id: 'H1',
    what: 'the client writes keys with dots into the path, where URL parsers fold them',
    isStarred: true,
    patches: [src('client/key-path.ts', '[A-Za-z0-9_~-]+(?:\\.[A-Za-z0-9_~-]+)*`', '[A-Za-z0-9_~.-]+`')],
    suites: ['test/client/key-path.test.ts'],
    beyondSimulation: 'its requests do not pass a URL parser',
  },
  {
    id: 'H2',
    what: 'bytes of a key that are no UTF-8 collapse into one character',
    patches: [
      src(
        'http/target.ts',
        'return keyFromBytes(bytes.subarray(0, length))',
        "return keyFromBytes(Buffer.from(bytes.toString('utf8', 0, length)))",
      ),
    ],
    suites: ['test/http/target.test.ts'],
    beyondSimulation: 'its requests do not pass a URL parser',
  },
  {
    id: 'H8a',
    what: 'the client reports a broken connection as not applied',
    isStarred: true,
    patches: [
      src(
        'client/call.ts',
        "  const code = error.kind === 'broken' ? 'CONNECTION_LOST' : 'UNEXPECTED_ANSWER'\n  return {\n    kind: error.kind,\n    code,\n    outcome: 'unknown'",
        "  const code = error.kind === 'broken' ? 'CONNECTION_LOST' : 'UNEXPECTED_ANSWER'\n  return {\n    kind: error.kind,\n    code,\n    outcome: 'not-applied'",
      ),
    ],
    suites: ['test/client/call.test.ts'],
  },
  {
    id: 'H8b',
    what: 'a node reports a proposed write that timed out as not applied',
    isStarred: true,
    patches: [src('node/pending-write.ts', '  return write.isProposed\n', '  return false\n')],
    suites: ['test/node/writes.test.ts'],
  },
  {
    id: 'H9',
    what: 'the client repeats writes whose outcome is unknown',
    isStarred: true,
    patches: [
      src(
        'client/retry-policy.ts',
        "if (outcome === 'unknown' && (operation === 'write' || operation === 'admin')) return 'fail'",
        '',
      ),
      src(
        'client/retry-policy.ts',
        "broken: ['elsewhere', 'fail', 'fail']",
        "broken: ['elsewhere', 'elsewhere', 'elsewhere']",
      ),
    ],
    suites: ['test/client/retry-policy.test.ts'],
  },
  {
    id: 'H10',
    what: 'a forwarded batch whose answer was lost is sent again',
    patches: [
      src(
        'node/writes.ts',
        '        submission.giveUpAtMs = this.#clock.now() + LOST_GRACE_MS',
        '        return this.#requeue(submission)',
      ),
    ],
    suites: ['test/node/writes.test.ts'],
  },
]
