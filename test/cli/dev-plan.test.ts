// What `quorate dev` decides before it starts anything.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  DevError,
  checkPorts,
  childEnvironment,
  planNodes,
  prepareDirectory,
  shellQuote,
} from '../../src/cli/dev-plan.ts'
import { loadConfig } from '../../src/config/index.ts'

const OPTIONS = { nodes: 3, dataDir: './data', basePort: 7700, logLevel: 'info' }

describe('the plan', () => {
  it('gives each node ports ten apart and the same list of members', () => {
    const nodes = planNodes(OPTIONS)
    expect(nodes.map(({ name, httpPort, peerPort }) => [name, httpPort, peerPort])).toEqual([
      ['n1', 7700, 7701],
      ['n2', 7710, 7711],
      ['n3', 7720, 7721],
    ])
    const lists = nodes.map(({ args }) => args.find((arg) => arg.startsWith('--initial-cluster')))
    expect(new Set(lists)).toEqual(new Set(['--initial-cluster=n1=127.0.0.1:7701,n2=127.0.0.1:7711,n3=127.0.0.1:7721']))
  })

  it('is a command line that serve accepts, whatever the environment says', () => {
    const hostile = {
      QUORATE_NAME: 'x',
      QUORATE_ADVERTISE: 'http://x:1',
      QUORATE_CONFIG: '/none',
      QUORATE_HEARTBEAT_MS: '60',
    }
    const env = childEnvironment(hostile)
    expect(env).toMatchObject({ MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '1048576' })
    expect(childEnvironment({ MALLOC_ARENA_MAX: '8' })).toMatchObject({ MALLOC_ARENA_MAX: '8' })
    expect(childEnvironment({ NODE_OPTIONS: '--v8-pool-size=4' })).toMatchObject({
      NODE_OPTIONS: '--v8-pool-size=1 --max-semi-space-size=16 --v8-pool-size=4',
    })
    const configs = planNodes({ ...OPTIONS, nodes: 7, logLevel: 'debug' }).map(({ args }) => {
      const flags = Object.fromEntries(
        args.map((arg) => /^--([a-z-]+)=(.*)$/.exec(arg)!.slice(1)) as [string, string][],
      )
      return loadConfig({ flags, env })
    })
    expect(configs.map(({ config }) => config.advertise)).toEqual(
      [7700, 7710, 7720, 7730, 7740, 7750, 7760].map((port) => `http://127.0.0.1:${port}`),
    )
    expect(configs[6]!.config).toMatchObject({ name: 'n7', dataDir: 'data/n7', heartbeatMs: 60, logLevel: 'debug' })
    expect(configs.flatMap(({ warnings }) => warnings)).toEqual([])
  })

  it('refuses a base port without room above it', () => {
    expect(() => planNodes({ ...OPTIONS, basePort: 65_520 })).toThrow('--base-port 65520 leaves no room')
    expect(planNodes({ ...OPTIONS, basePort: 65_514 })).toHaveLength(3)
  })
})

describe('the data directory', () => {
  let root = ''
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'quorate dev-'))
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))
  const options = (nodes: number): typeof OPTIONS => ({ ...OPTIONS, nodes, dataDir: join(root, 'data') })

  it('is made, one folder a node, and accepted again', () => {
    prepareDirectory(options(3))
    prepareDirectory(options(3))
    expect(readdirSync(join(root, 'data'))).toEqual(['n1', 'n2', 'n3'])
  })

  it('of another number of nodes is refused with the command that clears it', () => {
    prepareDirectory(options(3))
    const quoted = ['n1', 'n2', 'n3'].map((name) => `'${join(root, 'data', name)}'`).join(' ')
    expect(() => prepareDirectory(options(5))).toThrow(`holds a cluster of 3 (n1, n2, n3), but --nodes is 5`)
    expect(() => prepareDirectory(options(5))).toThrow(`rm -r ${quoted}`)
    expect(readdirSync(join(root, 'data'))).toEqual(['n1', 'n2', 'n3'])
  })

  it('may hold other files', () => {
    mkdirSync(join(root, 'data', 'notes'), { recursive: true })
    prepareDirectory(options(1))
  })

  it('that cannot be made is refused, and the flag named', () => {
    writeFileSync(join(root, 'data'), '')
    expect(() => prepareDirectory(options(1))).toThrow(/^--data-dir .* cannot be used: EEXIST/)
  })
})

describe('ports', () => {
  it('a taken one is named together with its node and the flag', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => {
      server.listen({ host: '127.0.0.1', port: 0 }, resolve)
    })
    const { port } = server.address() as AddressInfo
    const node = { name: 'n2', httpPort: port, peerPort: port, url: '', args: [] }
    const taken = await checkPorts([node]).catch((error: unknown) => error)
    expect(taken).toBeInstanceOf(DevError)
    expect(String(taken)).toMatch(
      new RegExp(`port ${port}, which n2 needs, cannot be used \\(EADDRINUSE\\).*--base-port`),
    )
    await new Promise((resolve) => {
      server.close(resolve)
    })
    await checkPorts([node])
  })
})

it('quotes what a shell would take apart', () => {
  expect(shellQuote('./data/n1')).toBe('./data/n1')
  expect(shellQuote("it's here")).toBe(String.raw`'it'\''s here'`)
})
