// `quorate serve` as a process: what it says, what it exits with, and that a restart finds the data.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { quorate } from './support-process.ts'
import type { Running } from './support-process.ts'

let folder = ''
let running: Running | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-serve-'))
})
afterEach(() => {
  running?.child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

const serve = (...more: readonly string[]): Running =>
  (running = quorate([
    'serve',
    '--name=n1',
    `--data-dir=${folder}/n1`,
    '--listen=127.0.0.1:0',
    '--peer-listen=127.0.0.1:0',
    '--initial-cluster=n1=127.0.0.1:7701',
    ...more,
  ]))

const START_LINE = /n1 \(pid \d+\) serves (http:\/\/127\.0\.0\.1:\d+), peers on 127\.0\.0\.1:\d+/

it('N11: a node starts, keeps what was written over a SIGTERM and a kill, and exits with 0 when it is asked to', async () => {
  const first = serve()
  const [, url] = await first.until(START_LINE)
  const put = await fetch(`${url}/v1/kv/greeting`, { method: 'PUT', body: 'hello' })
  expect(put.status).toBe(201)
  first.child.kill('SIGTERM')
  expect(await first.exitCode).toBe(0)
  for (const line of first.output().trim().split('\n')) {
    expect(JSON.parse(line)).toMatchObject({ node: 'n1', msg: expect.any(String) as string })
  }

  const second = serve()
  const [, again] = await second.until(START_LINE)
  expect(await (await fetch(`${again}/v1/kv/greeting`)).text()).toBe('hello')
  second.child.kill('SIGKILL')
  await second.exitCode

  const third = serve()
  const [, last] = await third.until(START_LINE)
  expect(await (await fetch(`${last}/v1/kv/greeting`)).text()).toBe('hello')
  third.child.kill('SIGINT')
  expect(await third.exitCode).toBe(0)
})

it('a wrong configuration exits with 2 and one line for each mistake', async () => {
  const { exitCode, output } = quorate(['serve', '--listen', 'here'], { QUORATE_CACHE_SIZE: '64MB' })
  expect(await exitCode).toBe(2)
  expect(output()).toMatch(/^error: QUORATE_CACHE_SIZE must be .*, not "64MB"$/m)
})

it('D12: a second process on a data directory is refused with 1', async () => {
  const first = serve()
  await first.until(START_LINE)
  const second = quorate([
    'serve',
    '--name=n1',
    `--data-dir=${folder}/n1`,
    '--listen=127.0.0.1:0',
    '--peer-listen=127.0.0.1:0',
    '--initial-cluster=n1=127.0.0.1:7701',
  ])
  expect(await second.exitCode).toBe(1)
  expect(second.output()).toMatch(/n1 cannot start: .*(in use|another process|locked)/)
})
