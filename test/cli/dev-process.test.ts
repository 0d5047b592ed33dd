// `quorate dev` as a process: three real nodes, one killed, all stopped; and children that outlive nobody.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { freeBasePort, isAlive, quorate } from './support-process.ts'
import type { Running } from './support-process.ts'

let folder = ''
let running: Running | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-dev-'))
})
afterEach(async () => {
  running?.child.kill('SIGTERM')
  await running?.exitCode
  rmSync(folder, { recursive: true, force: true })
})

const pidsIn = (output: string): number[] => [...output.matchAll(/\| pid (\d+)$/gm)].map((match) => Number(match[1]))

it('runs a cluster that survives a kill, restarts the node, and stops with 0 leaving nothing behind', async () => {
  const basePort = await freeBasePort(3)
  running = quorate(['dev', `--data-dir=${folder}`, `--base-port=${basePort}`])
  await running.until(/Quorate is ready: 3 nodes are up, n[123] leads/)
  const put = await fetch(`http://127.0.0.1:${basePort}/v1/kv/a`, { method: 'PUT', body: 'one' })
  expect(put.status).toBe(201)

  const [victim] = pidsIn(running.output())
  process.kill(victim!, 'SIGKILL')
  await running.until(new RegExp(`n1\\| pid ${victim} was ended by SIGKILL; starting it again in 2 s`))
  expect(await (await fetch(`http://127.0.0.1:${basePort + 10}/v1/kv/a`)).text()).toBe('one')
  await vi.waitFor(() => expect(running!.output().match(/n1\|.* serves http/g)).toHaveLength(2), 25_000)
  expect(await (await fetch(`http://127.0.0.1:${basePort}/v1/kv/a`)).text()).toBe('one')

  running.child.kill('SIGINT')
  expect(await running.exitCode).toBe(0)
  expect(running.output().match(/handing over/g)).toHaveLength(3)
  const pids = pidsIn(running.output())
  expect(pids).toHaveLength(4)
  expect(pids.filter(isAlive)).toEqual([])
}, 60_000)

it('children close when their parent is killed', async () => {
  running = quorate(['dev', '--nodes=1', `--data-dir=${folder}`, `--base-port=${await freeBasePort(1)}`])
  await running.until(/Quorate is ready: one node is up, n1 leads/)
  const [pid] = pidsIn(running.output())
  running.child.kill('SIGKILL')
  await vi.waitFor(() => expect(isAlive(pid!)).toBe(false), 15_000)
})

it('refuses a directory of another size before it starts anything', async () => {
  const basePort = await freeBasePort(3)
  for (const [nodes, expected] of [
    [1, /Quorate is ready/],
    [3, /holds a cluster of 1 \(n1\), but --nodes is 3[\s\S]*rm -r /],
  ] as const) {
    running = quorate(['dev', `--nodes=${nodes}`, `--data-dir=${folder}`, `--base-port=${basePort}`])
    await running.until(expected)
    if (nodes === 1) running.child.kill('SIGTERM')
    expect(await running.exitCode).toBe(nodes === 1 ? 0 : 1)
  }
  expect(existsSync(join(folder, 'n2'))).toBe(false)
})
