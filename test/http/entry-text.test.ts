// Entries as text: the fast way writes exactly what JSON.stringify writes of the document.
import { describe, expect, it } from 'vitest'
import type { KeyEntry } from '../../src/api/commands.ts'
import { entryDocument, entryText } from '../../src/http/entry-json.ts'
import { Prng } from '../../src/lib/prng.ts'

const SEED = process.env['SEED'] ?? '20241121'

const entry = (fields: Partial<KeyEntry> = {}): KeyEntry => ({
  key: 'k',
  value: Buffer.from('v'),
  contentType: '',
  createRevision: 2,
  modRevision: 3,
  version: 1,
  lease: '',
  ...fields,
})

/** Bytes that mean something to JSON or to UTF-8, among some that do not. */
const PARTS = [
  'a',
  ' ',
  '~',
  '"',
  '\\',
  '\n',
  '\0',
  '\x7f',
  '\x80',
  '\xff',
  '\xc3\xa4',
  '\xef\xbb\xbf',
  '\xe2\x80\xa8',
] as const

const some = (prng: Prng, lengthMax: number): string =>
  Array.from({ length: prng.below(lengthMax) }, () => (prng.chance(3, 4) ? 'x' : prng.pick(PARTS))).join('')

describe('an entry as text', () => {
  it.each(PARTS)('is the document as JSON with %j in its key and its value', (part) => {
    const of = entry({ key: `a${part}`, value: Buffer.from(`b${part}c`, 'latin1') })
    expect(entryText(of)).toBe(JSON.stringify(entryDocument(of)))
  })

  it('is the document as JSON whatever the entry is', () => {
    const prng = new Prng(SEED)
    for (let round = 0; round < 2_000; round++) {
      const of = entry({
        key: some(prng, 12),
        value: Buffer.from(some(prng, prng.chance(1, 20) ? 3_000 : 12), 'latin1'),
        contentType: prng.pick(['', 'text/plain', 'a"b', 'ä']),
        createRevision: prng.below(1_000),
        lease: prng.pick(['', '00000000000000a1']),
      })
      const options = { keysOnly: prng.chance(1, 2), ttlMs: prng.pick([undefined, 0, 1_500]) }
      expect(entryText(of, options), `seed ${SEED}, round ${round}`).toBe(JSON.stringify(entryDocument(of, options)))
    }
  })
})
