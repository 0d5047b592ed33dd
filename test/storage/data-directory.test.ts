// The data directory: whose it is, that it is whole, that only one process has it, and that a full disk does not lock us out.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { openDataDirectory } from '../../src/storage/data-directory.ts'
import type { DataDirectory, DataDirectoryOptions } from '../../src/storage/data-directory.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'
import { nodeFileSystem } from '../../src/storage/node-file-system.ts'
import { identity, NODE_B, silent, temporaryDirectory } from './support.ts'

let temporary: ReturnType<typeof temporaryDirectory>
let root: string
const opened: DataDirectory[] = []

beforeEach(() => {
  temporary = temporaryDirectory()
  root = path.join(temporary.path, 'data')
})
afterEach(async () => {
  for (const directory of opened.splice(0)) await directory.close()
  temporary.remove()
})

async function open(options: Partial<DataDirectoryOptions> = {}): Promise<DataDirectory> {
  const directory = await openDataDirectory({ path: root, identity, ballastBytes: 0, logger: silent, ...options })
  opened.push(directory)
  return directory
}

async function close(directory: DataDirectory): Promise<void> {
  opened.splice(opened.indexOf(directory), 1)
  await directory.close()
}

const file = (name: string): string => path.join(root, name)

/** This machine's disk, with another idea of how much is free. */
const withFree = (freeBytes: () => number): FileSystem =>
  new Proxy(nodeFileSystem, {
    get: (target, name) =>
      name === 'freeBytes'
        ? () => Promise.resolve(freeBytes())
        : (Reflect.get(target, name) as (...parameters: unknown[]) => unknown).bind(target),
  })

/** A process of its own: opens the data directory named by its argument, says so, and holds it until it is killed. */
const HOLDER = `
  const { openDataDirectory } = await import('./src/storage/data-directory.ts')
  const logger = { debug() {}, info() {}, warn() {}, error() {} }
  const identity = ${JSON.stringify(identity)}
  await openDataDirectory({ path: process.argv[1], identity, ballastBytes: 0, logger })
  process.send('open')
  setInterval(() => {}, 1000)
`

describe('identity', () => {
  test('a new directory is made, remembers whose it is, and opens again', async () => {
    const first = await open()
    expect(first.isNew).toBe(true)
    expect(first.groupPath).toBe(`${root}/groups/0`)
    expect(fs.statSync(first.groupPath).isDirectory()).toBe(true)
    const { own } = first.incarnations
    expect(own).toMatch(/^[0-9a-f]{32}$/)
    await close(first)
    const second = await open()
    expect(second.isNew).toBe(false)
    expect(second.identity).toEqual(identity)
    expect(second.incarnations.own).toBe(own)
  })

  test('a member that moved keeps its directory, under the ids of its first start', async () => {
    await close(await open())
    const moved = identity.members.map((member) => ({
      ...member,
      id: NODE_B,
      peer: member.peer.replace('127.0.0.1', '10.0.0.1'),
    }))
    const claim = { ...identity, clusterId: '2222222222222222', nodeId: NODE_B, members: moved }
    const directory = await open({ identity: claim, isSameCluster: ({ founders }) => founders.length === 2 })
    expect(directory.identity).toEqual(identity)
    await close(directory)
    await expect(open({ identity: claim, isSameCluster: () => false })).rejects.toMatchObject({ code: 'OTHER_CLUSTER' })
    const other = open({ identity: { ...claim, name: 'n2' }, isSameCluster: () => true })
    await expect(other).rejects.toMatchObject({ code: 'OTHER_NODE' })
  })

  test('D11: the directory of another cluster or another node is refused, naming both', async () => {
    await close(await open())
    const otherCluster = open({ identity: { ...identity, clusterId: '2222222222222222' } })
    await expect(otherCluster).rejects.toMatchObject({ code: 'OTHER_CLUSTER' })
    await expect(otherCluster).rejects.toThrow(/1111111111111111.*2222222222222222/)
    const otherNode = open({ identity: { ...identity, name: 'n2', nodeId: NODE_B } })
    await expect(otherNode).rejects.toMatchObject({ code: 'OTHER_NODE' })
    await expect(otherNode).rejects.toThrow(/node n1 .*node n2/)
  })

  test('D14: a newer and an older format are refused', async () => {
    await close(await open())
    await expect(open({ identity: { ...identity, formatVersion: 0 } })).rejects.toMatchObject({ code: 'NEWER_FORMAT' })
    await expect(open({ identity: { ...identity, formatVersion: 2 } })).rejects.toMatchObject({ code: 'OLDER_FORMAT' })
  })

  test('new addresses of the members are remembered', async () => {
    const directory = await open()
    const members = identity.members.map((member) => ({ ...member, peer: `moved-${member.peer}` }))
    await Promise.all([directory.updateMembers([]), directory.updateMembers(members)])
    expect(directory.identity.members).toEqual(members)
    await close(directory)
    expect((await open()).identity).toEqual({ ...identity, members })
  })
})

describe('completeness', () => {
  test('D14: data without an identity is refused; a beginning without data is finished', async () => {
    await close(await open())
    fs.rmSync(file('identity'))
    fs.writeFileSync(file('identity.tmp'), 'half')
    await close(await open())
    fs.rmSync(file('identity'))
    fs.mkdirSync(file('groups/0/log'))
    await expect(open()).rejects.toThrow(/holds data \(log in .*\) but no file named identity/)
  })

  test('D14: a missing or damaged incarnations file is refused', async () => {
    await close(await open())
    const text = fs.readFileSync(file('incarnations'), 'utf8')
    fs.writeFileSync(file('incarnations'), text.replace('false', 'true '))
    await expect(open()).rejects.toMatchObject({ code: 'CORRUPTION' })
    fs.rmSync(file('incarnations'))
    await expect(open()).rejects.toMatchObject({ code: 'INCOMPLETE' })
  })

  test('a member that was registered and whose log is gone is refused', async () => {
    const directory = await open()
    await directory.incarnations.markRegistered()
    await close(directory)
    await expect(open()).rejects.toThrow(/log is missing .* this member has lost data/)
    for (const name of ['log', 'vote', 'pointer']) fs.writeFileSync(file(`groups/0/${name}`), '')
    expect((await open()).incarnations.isRegistered).toBe(true)
  })

  test('a directory with foreign files is left alone', async () => {
    fs.mkdirSync(root)
    fs.writeFileSync(file('holiday.jpg'), '')
    await expect(open()).rejects.toMatchObject({ code: 'NOT_EMPTY' })
    expect(fs.readdirSync(root)).toEqual(['holiday.jpg'])
  })

  test('D9: what is no directory, or cannot be made one, is refused as not writable', async () => {
    fs.writeFileSync(root, '')
    await expect(open()).rejects.toMatchObject({ code: 'NOT_WRITABLE' })
    await expect(open({ path: path.join(root, 'below') })).rejects.toMatchObject({ code: 'NOT_WRITABLE' })
  })

  test.skipIf(process.platform !== 'linux')('D9: where no directory can be made, it is refused at once', async () => {
    await expect(open({ path: '/proc/quorate/data' })).rejects.toMatchObject({ code: 'NOT_WRITABLE' })
  })

  test('missing parents are made', async () => {
    const deep = path.join(root, 'one', 'two')
    await open({ path: deep })
    expect(fs.statSync(deep).isDirectory()).toBe(true)
  })
})

describe('the lock', () => {
  test('D12: one directory is opened once in a process', async () => {
    const first = await open()
    await expect(open()).rejects.toMatchObject({ code: 'LOCKED' })
    await close(first)
    await open()
  })

  test('D12: a second process is refused until the first one is dead', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', HOLDER, root], {
      cwd: path.join(import.meta.dirname, '../..'),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    try {
      expect(await new Promise((resolve) => child.once('message', resolve))).toBe('open')
      await expect(open()).rejects.toThrow(/in use by another process/)
    } finally {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    }
    await open()
  })

  test('a damaged lock database does not keep the node from starting', async () => {
    await close(await open())
    fs.writeFileSync(file('CURRENT'), 'nonsense')
    expect((await open()).isNew).toBe(false)
  })
})

describe('D8: the ballast', () => {
  const ballastBytes = 100_000
  test('is made while there is room, and given up at a start on a full disk', async () => {
    const first = await open({ ballastBytes })
    await first.ballast.ensure()
    expect(fs.statSync(file('ballast')).size).toBe(ballastBytes)
    await close(first)

    let free = 1000
    const full = await open({ ballastBytes, fileSystem: withFree(() => free) })
    expect(fs.existsSync(file('ballast'))).toBe(false)
    await full.ballast.ensure()
    expect(fs.existsSync(file('ballast'))).toBe(false)
    free = 1e9
    expect(await full.diskSpace.freeBytes()).toBe(1e9)
    await full.ballast.ensure()
    expect(await full.ballast.isThere()).toBe(true)
  })

  test('none is kept when the size is zero', async () => {
    const directory = await open({ ballastBytes: 0 })
    await directory.ballast.ensure()
    expect(await directory.ballast.isThere()).toBe(false)
    expect(await directory.ballast.release()).toBe(false)
  })
})
