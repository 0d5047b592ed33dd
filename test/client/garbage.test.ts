// What a call leaves behind: nothing that outlives the next collection of the young generation. A set that calls pass through, an object
// literal with a getter or a closure after a spread, or an AbortController for each attempt would keep every call until a full collection.
import { expect, test } from 'vitest'
import { decodeBatchRequest, encodeBatchResponse } from '../../src/api/batch-codec.ts'
import type { BatchAnswer, BatchItem } from '../../src/api/batch-codec.ts'
import { Client } from '../../src/client/index.ts'
import type { Transport } from '../../src/client/index.ts'
import { BATCH_TYPE } from '../support/batch-answers.ts'
import { leftInOldGeneration } from '../support/memory.ts'

const CALLS = 2_000

/** A call that stays is 4,700 and more. Some 600 are of the test runner, and a signal is 900. */
const LEFT_BYTES_MAX = 2_500

const value = Buffer.from('hello')

function answerTo(item: BatchItem): BatchAnswer {
  if (item.op === 'read') {
    const entry = { value, contentType: '', createRevision: 7, modRevision: 17, version: 3, lease: '' }
    return { kind: 'read', revision: 42, stalenessMs: undefined, entry, ttlMs: undefined }
  }
  if (item.op === 'session-open')
    return { kind: 'result', result: { kind: 'session', revision: 42, session: item.session, ttlMs: item.ttlMs } }
  if (item.op === 'session-close') return { kind: 'result', result: { kind: 'session-closed', revision: 42 } }
  if (item.op !== 'put') throw new Error(`nobody asked for ${item.op}`)
  return { kind: 'result', result: { kind: 'put', revision: 42, isCreated: false, previous: undefined } }
}

const node: Transport = {
  send: async ({ body }) => {
    await new Promise((resolve) => setImmediate(resolve))
    const answers = decodeBatchRequest(body!).map(answerTo)
    const headers = { ...BATCH_TYPE, 'quorate-node': 'a', 'quorate-term': '1', 'quorate-revision': '42' }
    return { status: 200, headers, body: encodeBatchResponse(answers) }
  },
  close: async () => {},
}

test.each([
  ['get', (client: Client) => client.get('key')],
  ['put', (client: Client) => client.put('key', value)],
  ['get with a signal of its own', (client: Client) => client.get('key', { signal: new AbortController().signal })],
])('a %s leaves nothing behind', async (_, call) => {
  await using client = new Client({ endpoints: 'http://a:1' }, { transport: node })
  expect(await leftInOldGeneration(() => call(client), CALLS)).toBeLessThan(LEFT_BYTES_MAX)
})
