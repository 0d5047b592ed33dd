// Small files and the incarnation registry over a disk that loses what was not synced: old or new, never half, and what was
// answered stays.
import { describe, expect, test } from 'vitest'

import { Prng } from '../../src/lib/prng.ts'
import { createIncarnations, openIncarnations } from '../../src/storage/incarnation-registry.ts'
import { SimulatedFileSystem } from '../../src/storage/simulated-file-system.ts'
import { readSmallFile, replaceSmallFile } from '../../src/storage/small-file.ts'
import { NODE_A, NODE_B } from './support.ts'

const random = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(7)
const one = '1'.repeat(32)
const two = '2'.repeat(32)

describe('a small file', () => {
  test('is absent, or has the content last written', async () => {
    const disk = new SimulatedFileSystem()
    expect(await readSmallFile(disk, '/note')).toBeUndefined()
    await replaceSmallFile(disk, '/note', { a: 1 })
    await replaceSmallFile(disk, '/note', { a: 2, ü: 'ß' })
    expect(await readSmallFile(disk, '/note')).toEqual({ a: 2, ü: 'ß' })
    expect(disk.content('/note').toString()).toMatch(/^\{"a":2,"ü":"ß"\}\ncrc32 [0-9a-f]{8}\n$/)
  })

  test('D10: is old or new after a crash at any step, and new once the call has returned', async () => {
    const seed = process.env['SEED'] ?? 'small-file'
    const prng = new Prng(seed)
    for (let number = 1; number <= 20; number++) {
      for (const keep of ['all', 'none', 'random'] as const) {
        const disk = new SimulatedFileSystem()
        await replaceSmallFile(disk, '/note', { version: 'old' })
        const stop = disk.count() + number
        disk.configure({ fault: (operation) => (operation.number === stop ? { kind: 'power-off' } : undefined) })
        let isDone = true
        await replaceSmallFile(disk, '/note', { version: 'new' }).catch(() => (isDone = false))
        const survivor = disk.crash(keep === 'random' ? { keep, prng } : { keep })
        const { version } = (await readSmallFile(survivor, '/note')) as { version: string }
        expect(isDone ? ['new'] : ['old', 'new'], `SEED=${seed} ${keep} ${number}`).toContain(version)
        await replaceSmallFile(survivor, '/note', { version: 'newer' })
      }
    }
  })

  test('D5: any flipped bit is detected', async () => {
    const disk = new SimulatedFileSystem()
    await replaceSmallFile(disk, '/note', { clusterId: '0123456789abcdef' })
    for (let byte = 0; byte < disk.content('/note').length; byte++) {
      const damaged = disk.clone()
      damaged.flipBit('/note', byte, byte % 8)
      await expect(readSmallFile(damaged, '/note'), `byte ${byte}`).rejects.toMatchObject({ code: 'CORRUPTION' })
    }
  })
})

describe('the incarnation registry', () => {
  test('what it has answered survives a crash that loses everything unsynced', async () => {
    const disk = new SimulatedFileSystem()
    await createIncarnations(disk, '/incarnations', random)
    const registry = await openIncarnations(disk, '/incarnations')
    expect(registry.own).toBe('07'.repeat(16))
    expect(registry.isRegistered).toBe(false)
    await Promise.all([registry.record(NODE_A, one), registry.record(NODE_B, two), registry.markRegistered()])
    const again = await openIncarnations(disk.crash({ keep: 'none' }), '/incarnations')
    expect([again.own, again.isRegistered]).toEqual([registry.own, true])
    expect([again.get(NODE_A), again.get(NODE_B), again.get('0'.repeat(16))]).toEqual([one, two, undefined])
  })

  test('M7: a member is registered with one incarnation only, also by two calls at once', async () => {
    const disk = new SimulatedFileSystem()
    await createIncarnations(disk, '/incarnations', random)
    const registry = await openIncarnations(disk, '/incarnations')
    const outcomes = await Promise.allSettled([registry.record(NODE_A, one), registry.record(NODE_A, two)])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    await registry.record(NODE_A, one)
    expect(registry.get(NODE_A)).toBe(one)
  })

  test('nothing is remembered before it is durable', async () => {
    const disk = new SimulatedFileSystem()
    await createIncarnations(disk, '/incarnations', random)
    const registry = await openIncarnations(disk, '/incarnations')
    disk.configure({ fault: ({ kind }) => (kind === 'sync' ? { kind: 'error', code: 'EIO' } : undefined) })
    await expect(registry.record(NODE_A, one)).rejects.toThrow(/EIO/)
    expect(registry.get(NODE_A)).toBeUndefined()
    await expect(registry.markRegistered()).rejects.toThrow(/EIO/)
    expect(registry.isRegistered).toBe(false)
  })
})
