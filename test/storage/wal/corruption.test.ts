// Bits that flip after they were durable: every field of every kind of frame, and of the vote file. Either recovery refuses
// and names the place, or nothing that matters was hit, or it was the very last write, which cannot be told from a torn one.
import { beforeAll, describe, expect, test } from 'vitest'

import { CorruptionError, DataDirectoryError } from '../../../src/storage/errors.ts'
import { SimulatedFileSystem } from '../../../src/storage/simulated-file-system.ts'
import { FRAME_HEADER_BYTES, paddedFrameBytes, readFrameHeader } from '../../../src/storage/wal/frame.ts'
import { contentOf, entries, hardState, NODE_A, NODE_B, openOn, withLog, write } from '../support.ts'
import type { Content } from '../support.ts'
import { expectedContents, HISTORY, live, sameLog, sameVote, SEGMENT_BYTES } from './history.ts'

const options = { segmentBytes: SEGMENT_BYTES }

interface FrameOnDisk {
  readonly path: string
  readonly offset: number
  readonly bodyBytes: number
  readonly isStart: boolean
  readonly writeNumber: number
}

/** The live frames of a disk, in the order in which they were written. */
function framesOf(disk: SimulatedFileSystem): FrameOnDisk[] {
  const frames: FrameOnDisk[] = []
  for (const path of disk.paths().filter((name) => name.startsWith('/log/'))) {
    const content = disk.content(path)
    const start = readFrameHeader(content, 0)
    if (start.kind !== 'valid') continue
    for (let offset = 0; ;) {
      const reading = readFrameHeader(content, offset)
      if (reading.kind !== 'valid' || reading.header.epoch !== start.header.epoch) break
      const { bodyBytes, kind, writeNumber } = reading.header
      frames.push({ path, offset, bodyBytes, isStart: kind === 'segment', writeNumber })
      offset += paddedFrameBytes(bodyBytes)
    }
  }
  return frames.sort((a, b) => a.writeNumber - b.writeNumber || Number(b.isStart) - Number(a.isStart))
}

type Outcome = { kind: 'refused'; error: Error } | { kind: 'opened'; content: Content }

async function outcomeOf(disk: SimulatedFileSystem): Promise<Outcome> {
  try {
    return { kind: 'opened', content: await withLog(disk, contentOf, options) }
  } catch (error) {
    expect(error instanceof CorruptionError || error instanceof DataDirectoryError, String(error)).toBe(true)
    return { kind: 'refused', error: error as Error }
  }
}

let disk: SimulatedFileSystem
let frames: FrameOnDisk[]
let whole: Content
let beforeLast: Content

beforeAll(async () => {
  disk = new SimulatedFileSystem()
  await withLog(disk, (log) => live(log), options)
  frames = framesOf(disk)
  const contents = await expectedContents()
  whole = contents.at(-1)!
  beforeLast = contents.at(-2)!
  expect(new Set(frames.map(({ path }) => path)).size).toBeGreaterThan(1)
})

async function flipped(path: string, byte: number, bit: number): Promise<Outcome> {
  const damaged = disk.clone()
  damaged.flipBit(path, byte, bit)
  return outcomeOf(damaged)
}

describe('D5: a flipped bit', () => {
  const fields: readonly [string, number][] = [
    ['magic', 0],
    ['format', 4],
    ['kind', 5],
    ['reserved', 6],
    ['epoch', 8],
    ['write number', 16],
    ['length', 24],
    ['body checksum', 28],
    ['position', 32],
    ['header checksum', 36],
    ['body', FRAME_HEADER_BYTES],
  ]
  test.each(fields)('in the %s of a frame that another write follows is refused', async (_, at) => {
    const last = frames.at(-1)!
    for (const frame of frames.filter(({ writeNumber }) => writeNumber < last.writeNumber)) {
      const outcome = await flipped(frame.path, frame.offset + at, frame.offset % 8)
      // The start of a segment whose only write is needed no more tells nothing that the next start does not.
      const isHarmless = outcome.kind === 'opened' && sameLog(outcome.content, whole)
      expect(isHarmless || outcome.kind === 'refused', `${frame.path} at ${frame.offset}`).toBe(true)
      if (!frame.isStart) expect(outcome.kind, `${frame.path} at ${frame.offset}`).toBe('refused')
    }
  })

  test.each(fields)('in the %s of the very last frame cuts it off, and nothing else', async (_, at) => {
    const frame = frames.at(-1)!
    const outcome = await flipped(frame.path, frame.offset + at, 3)
    expect(outcome.kind).toBe('opened')
    if (outcome.kind === 'opened') expect(sameLog(outcome.content, beforeLast)).toBe(true)
  })

  test('the vote of a last frame that is cut off is not forgotten: the vote file has it', async () => {
    const frame = frames.at(-1)!
    const outcome = await flipped(frame.path, frame.offset + 28, 0)
    if (outcome.kind === 'opened') expect(sameVote(outcome.content.hardState, whole.hardState)).toBe(true)
  })

  test('anywhere in a live segment never gives wrong data', async () => {
    let refused = 0
    for (const path of new Set(frames.map((frame) => frame.path))) {
      for (let byte = 3; byte < SEGMENT_BYTES; byte += 41) {
        const outcome = await flipped(path, byte, byte % 8)
        if (outcome.kind === 'refused') refused++
        else
          expect(sameLog(outcome.content, whole) || sameLog(outcome.content, beforeLast), `${path} ${byte}`).toBe(true)
      }
    }
    expect(refused).toBeGreaterThan(20)
  })

  test('the refusal names the file, the offset, and what to do', async () => {
    const frame = frames.find((candidate) => !candidate.isStart)!
    const outcome = await flipped(frame.path, frame.offset + FRAME_HEADER_BYTES, 0)
    expect(outcome.kind === 'refused' && outcome.error).toMatchObject({ file: frame.path, offset: frame.offset })
    expect(String(outcome.kind === 'refused' && outcome.error)).toMatch(/restore .* or replace/)
  })

  test('under a running log is noticed when the entries are read back, and fails the log', async () => {
    const running = new SimulatedFileSystem()
    const log = await openOn(running, options)
    await log.append(write({ entries: entries(1, 3, 1) }))
    const frame = framesOf(running).at(-1)!
    running.flipBit(frame.path, frame.offset + 60, 1)
    await expect(log.read({ first: 1, last: 3, bytesMax: 1000 })).rejects.toThrow(/damaged/)
    await expect(log.append(write({ entries: entries(4, 4, 1) }))).rejects.toThrow(/earlier failure/)
    await log.close()
  })
})

describe('damage to whole files', () => {
  test('a missing, a duplicated and a foreign segment are refused', async () => {
    const paths = [...new Set(frames.map(({ path }) => path))]
    const duplicated = disk.clone()
    duplicated.plant('/log/copy', duplicated.content(paths.at(-1)!))
    expect((await outcomeOf(duplicated)).kind).toBe('refused')

    const needed = new SimulatedFileSystem()
    await withLog(needed, (log) => live(log, HISTORY.slice(0, 7)), options)
    const first = framesOf(needed)[0]!.path
    await needed.remove(first)
    const outcome = await outcomeOf(needed)
    expect(outcome.kind === 'refused' && outcome.error.message).toMatch(/entries 1 to \d+ were in an earlier segment/)
  })

  test('a log that is gone, while a vote is on record, is refused', async () => {
    const emptied = disk.clone()
    for (const path of emptied.paths().filter((name) => name.startsWith('/log/'))) await emptied.remove(path)
    const outcome = await outcomeOf(emptied)
    expect(outcome.kind === 'refused' && outcome.error.message).toMatch(/the log is gone/)
  })

  test.each([
    ['a newer format', 2, /format 2, which this version does not know/],
    ['a sealed frame', 0x81, /encrypted \(sealed\)/],
  ])('D14: %s is refused by name', async (_, format, message) => {
    const { crc32 } = await import('../../../src/lib/checksum.ts')
    for (const frame of [frames[0]!, frames.at(-1)!]) {
      const changed = disk.clone()
      const content = changed.content(frame.path)
      content[frame.offset + 4] = format
      content.writeUInt32LE(crc32(content.subarray(frame.offset, frame.offset + 36)), frame.offset + 36)
      changed.plant(frame.path, content)
      const outcome = await outcomeOf(changed)
      expect(outcome.kind === 'refused' && outcome.error.message).toMatch(message)
    }
  })
})

const voted = async (vote: string): Promise<SimulatedFileSystem> => {
  const made = new SimulatedFileSystem()
  await withLog(made, (log) => log.append(write({ hardState: hardState(3, vote) })), options)
  return made
}

describe('the vote file', () => {
  test('damage to either slot, or to both, loses no vote while the log is intact', async () => {
    for (const bytes of [[0], [4096], [0, 4096], [16], [4096 + 24], [4096 + 44], [8, 4096 + 8]]) {
      const damaged = disk.clone()
      for (const byte of bytes) damaged.flipBit('/vote', byte, 2)
      const outcome = await outcomeOf(damaged)
      expect(outcome.kind === 'opened' && outcome.content.hardState).toEqual(whole.hardState)
      // And both copies are whole again.
      const again = damaged.clone()
      expect(await withLog(again, contentOf, options)).toEqual(whole)
    }
  })

  test('both slots and the last write damaged: the vote may be forgotten, and the log is refused', async () => {
    const damaged = disk.clone()
    for (const byte of [0, 4096]) damaged.flipBit('/vote', byte, 2)
    const last = frames.at(-1)!
    damaged.flipBit(last.path, last.offset + FRAME_HEADER_BYTES, 2)
    const outcome = await outcomeOf(damaged)
    expect(outcome.kind === 'refused' && outcome.error.message).toMatch(/a vote may be forgotten/)
  })

  test('two different votes in one term are corruption', async () => {
    const mixed = await voted(NODE_A)
    mixed.plant('/vote', (await voted(NODE_B)).content('/vote'))
    const outcome = await outcomeOf(mixed)
    expect(outcome.kind === 'refused' && outcome.error.message).toMatch(/two different votes .* in term 3/)
  })

  test('the higher term wins; at equal terms the copy that names a vote', async () => {
    const states = [hardState(3), hardState(3, NODE_A), hardState(4), hardState(2, NODE_B)]
    const disks = await Promise.all(
      states.map(async (state) => {
        const made = new SimulatedFileSystem()
        await withLog(made, (log) => log.append(write({ hardState: state })), options)
        return made
      }),
    )
    const mix = async (logFrom: number, voteFrom: number): Promise<unknown> => {
      const mixed = disks[logFrom]!.clone()
      mixed.plant('/vote', disks[voteFrom]!.content('/vote'))
      return (await withLog(mixed, contentOf, options)).hardState
    }
    expect(await mix(0, 1)).toEqual(hardState(3, NODE_A))
    expect(await mix(1, 0)).toEqual(hardState(3, NODE_A))
    expect(await mix(1, 2)).toEqual(hardState(4))
    expect(await mix(2, 1)).toEqual(hardState(4))
    expect(await mix(0, 3)).toEqual(hardState(3))
  })
})
