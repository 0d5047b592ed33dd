// The formats are a promise to directories that exist already: the bytes of FORMAT.md are what the log writes.
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from 'vitest'

import { SimulatedFileSystem } from '../../../src/storage/simulated-file-system.ts'
import { replaceSmallFile } from '../../../src/storage/small-file.ts'
import { openRaftLog } from '../../../src/storage/wal/index.ts'
import { readRecords } from '../../../src/storage/wal/records.ts'
import { silent } from '../support.ts'

const document = fs.readFileSync(path.join(import.meta.dirname, '../../../src/storage/FORMAT.md'), 'utf8')
/** The blocks of the document, as written. */
const blocks = [...document.matchAll(/```\n([^`]*)```/g)].map((match) => match[1]!)
const bytesOf = (text: string): string => text.replaceAll(/\s/g, '')

test('the examples of FORMAT.md are what is written', async () => {
  const [smallFile, frames, slot] = blocks
  const disk = new SimulatedFileSystem()
  let draws = 0
  const log = await openRaftLog({
    fileSystem: disk,
    directory: '/log',
    votePath: '/vote',
    keepFrom: 1,
    memoryBytesMax: 0,
    segmentBytes: 8192,
    logger: silent,
    random: (bytes) => new Uint8Array(bytes).fill(0xe0 + ++draws),
  })
  await log.append({
    hardState: { term: 2, votedFor: '00000000000000aa', commitIndex: 0 },
    entries: [
      { index: 1, term: 2, kind: 'no-op', data: new Uint8Array(0) },
      { index: 2, term: 2, kind: 'normal', data: Buffer.from('hi') },
    ],
    snapshot: undefined,
  })
  await log.close()
  const segment = disk.content('/log/0000000000000001.log')
  for (const [at, frame] of frames!.trim().split('\n\n').entries()) {
    const expected = bytesOf(frame)
    expect(segment.toString('hex', at * 512, at * 512 + expected.length / 2), `frame ${at}`).toBe(expected)
  }
  expect(disk.content('/vote').toString('hex', 0, 48)).toBe(bytesOf(slot!))

  await replaceSmallFile(disk, '/identity', JSON.parse(smallFile!.split('\n')[0]!) as object)
  expect(disk.content('/identity').toString()).toBe(smallFile)
})

test('records that nobody would write are refused, one by one', () => {
  const bad: readonly [string, string][] = [
    ['an unknown tag', '09'],
    ['a cut hard state', '0105'],
    ['a flag of 2', '010502'],
    ['no entries', '020100'],
    ['entries from index 0', '020001020000'],
    ['an unknown kind of entry', '020101020700'],
    ['data beyond the end', '0201010200056869'],
    ['a number not in its shortest form', '018500'],
    ['more ids than there are bytes', '0301010907'],
  ]
  for (const [what, hex] of bad) expect(() => readRecords(Buffer.from(hex, 'hex')), what).toThrow(/./)
})
