// The children of `quorate dev`, with small scripts instead of nodes: restarts, and stopping each once.
import { PassThrough } from 'node:stream'
import { afterEach, expect, it, vi } from 'vitest'
import { DevSupervisor } from '../../src/cli/dev-supervisor.ts'
import { planNodes } from '../../src/cli/dev-plan.ts'

let supervisor: DevSupervisor | undefined
afterEach(() => supervisor?.kill())

/** Counts its SIGTERMs, like a node that takes a moment to close. */
const WELL_BEHAVED = `
  let signals = 0
  process.on('SIGTERM', () => { signals++; setTimeout(() => { console.log('signals ' + signals); process.exit(0) }, 100) })
  process.on('SIGINT', () => console.log('SIGINT reached the child'))
  console.log('up')
  setInterval(() => {}, 1000)`

function run(script: string, options: { nodes: number; restart: boolean }): { readonly output: () => string } {
  let output = ''
  const stream = new PassThrough()
  stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  supervisor = new DevSupervisor({
    nodes: planNodes({ nodes: options.nodes, dataDir: '/none', basePort: 7700, logLevel: 'info' }),
    command: [process.execPath, '-e', script, '--'],
    env: process.env,
    restart: options.restart,
    output: stream,
    prefix: (name) => `${name}|`,
  })
  supervisor.start()
  return { output: () => output }
}

const pids = (output: string): number[] => [...output.matchAll(/\| pid (\d+)$/gm)].map((match) => Number(match[1]))

it('prints each pid, stops each child once, and ends with 0', async () => {
  const { output } = run(WELL_BEHAVED, { nodes: 2, restart: true })
  await vi.waitFor(() => expect(output().match(/\| up$/gm)).toHaveLength(2), 20_000)
  expect(pids(output())).toHaveLength(2)
  supervisor!.stop()
  supervisor!.stop()
  expect(await supervisor!.ended).toBe(0)
  await vi.waitFor(() => expect(output().match(/\| signals 1$/gm)).toHaveLength(2))
})

it('a child that dies is started again, and that is said', async () => {
  const { output } = run(WELL_BEHAVED, { nodes: 1, restart: true })
  await vi.waitFor(() => expect(output()).toMatch(/\| up$/m), 20_000)
  process.kill(pids(output())[0]!, 'SIGKILL')
  await vi.waitFor(
    () => expect(output()).toMatch(/n1\| pid \d+ was ended by SIGKILL; starting it again in 2 s/),
    20_000,
  )
  await vi.waitFor(() => expect(pids(output())).toHaveLength(2), 20_000)
  supervisor!.stop()
  expect(await supervisor!.ended).toBe(0)
})

it('stopping while a restart waits ends at once', async () => {
  const { output } = run('process.exit(3)', { nodes: 1, restart: true })
  await vi.waitFor(() => expect(output()).toMatch(/ended with code 3; starting it again/), 20_000)
  supervisor!.stop()
  expect(await supervisor!.ended).toBe(0)
})

it('without restarts it ends with 1 when the last child is dead', async () => {
  const { output } = run('process.exit(3)', { nodes: 2, restart: false })
  expect(await supervisor!.ended).toBe(1)
  expect(output()).toMatch(/n1\| pid \d+ ended with code 3$/m)
})

it('a child has a process group of its own, so that a terminal cannot signal it a second time', async () => {
  const { output } = run(`${WELL_BEHAVED}; console.log('channel ' + process.connected)`, { nodes: 1, restart: false })
  await vi.waitFor(() => expect(output()).toMatch(/\| channel true$/m), 20_000)
  const [pid] = pids(output())
  expect(() => process.kill(-pid!, 0)).not.toThrow()
})
