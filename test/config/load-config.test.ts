// The configuration's sources, their order, and every way in which input can be wrong.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError, loadConfig } from '../../src/config/index.ts'
import type { LoadedConfig } from '../../src/config/index.ts'
import { SETTING_NAMES, variableOf } from '../../src/config/settings.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-config-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Texts = Record<string, string>

const BASE: Texts = {
  name: 'n1',
  'data-dir': '/data',
  'initial-cluster': 'n1=127.0.0.1:7701,n2=127.0.0.1:7711,n3=127.0.0.1:7721',
}
const EXPOSED: Texts = { 'initial-cluster': 'n1=10.0.0.1:7701,n2=10.0.0.2:7701,n3=10.0.0.3:7701' }

const load = (flags: Texts = {}, env: Texts = {}): LoadedConfig => loadConfig({ flags: { ...BASE, ...flags }, env })

function problems(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('accepted')
}

function file(content: unknown): string {
  const path = join(folder, 'quorate.json')
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const secretFile = (text: string): string => {
  const path = join(folder, 'secret')
  writeFileSync(path, text)
  return path
}

describe('precedence', () => {
  it('a flag beats a variable, a variable beats the file, the file beats the default', () => {
    const config = file({ 'heartbeat-ms': 40, 'cache-size': '32MiB', 'cluster-token': 'file', advertise: 'http://f:1' })
    const env = { QUORATE_CACHE_SIZE: '16MiB', QUORATE_CLUSTER_TOKEN: 'variable' }
    const loaded = load({ config, 'cluster-token': 'flag' }, env).config
    expect(loaded).toMatchObject({
      clusterToken: 'flag',
      cacheBytes: 16 * 2 ** 20,
      heartbeatMs: 40,
      advertise: 'http://f:1',
      electionTimeoutMs: 300,
    })
  })

  it('the file may be named by a variable, and a flag names another one', () => {
    const config = file({ 'cluster-token': 'file' })
    expect(load({}, { QUORATE_CONFIG: config }).config.clusterToken).toBe('file')
    expect(problems(() => load({ config: join(folder, 'absent.json') }, { QUORATE_CONFIG: config }))[0]).toMatch(
      /^--config: .*absent\.json cannot be read as JSON: ENOENT/,
    )
  })

  it('every setting is a variable, and an empty variable is not set', () => {
    for (const name of SETTING_NAMES) {
      expect(problems(() => loadConfig({ flags: {}, env: { [variableOf(name)]: '' } }))).toHaveLength(3)
    }
    expect(
      loadConfig({
        flags: {},
        env: { QUORATE_NAME: 'n1', QUORATE_DATA_DIR: 'd', QUORATE_INITIAL_CLUSTER: 'n1=[::1]:1' },
      }).config,
    ).toMatchObject({ name: 'n1', peerAdvertise: '[::1]:1' })
  })

  it('the defaults are the documented ones, and the result is frozen', () => {
    const { config, warnings } = load()
    expect(warnings).toEqual([])
    expect(Object.isFrozen(config)).toBe(true)
    expect(config).toEqual({
      name: 'n1',
      dataDir: '/data',
      listen: { host: '127.0.0.1', port: 7700 },
      peerListen: { host: '127.0.0.1', port: 7701 },
      initialCluster: [
        { name: 'n1', peer: '127.0.0.1:7701' },
        { name: 'n2', peer: '127.0.0.1:7711' },
        { name: 'n3', peer: '127.0.0.1:7721' },
      ],
      advertise: 'http://127.0.0.1:7700',
      peerAdvertise: '127.0.0.1:7701',
      clusterToken: '',
      peerSecret: undefined,
      heartbeatMs: 50,
      electionTimeoutMs: 300,
      logLevel: 'info',
      logFormat: 'auto',
      cacheBytes: 58_720_256,
      logSegmentBytes: 16_777_216,
      logRetainBytes: 67_108_864,
      logRetainEntries: 100_000,
      spaceReserveBytes: 268_435_456,
      ballastBytes: 67_108_864,
      historyAgeMs: 3_600_000,
      historyRevisions: 1_000_000,
      historyBytes: 536_870_912,
    })
  })
})

describe('an error names its culprit and what to do', () => {
  const cases: readonly (readonly [string, Texts, Texts, RegExp])[] = [
    ['a flag', { listen: 'nonsense' }, {}, /^--listen must be host:port, such as .*, not "nonsense"$/],
    ['a variable', {}, { QUORATE_LISTEN: ':7700' }, /^QUORATE_LISTEN names no host; write 0\.0\.0\.0:7700/],
    ['a size', { 'cache-size': '64MB' }, {}, /^--cache-size must be a number of bytes or a size .*, not "64MB"$/],
    ['a small size', { 'cache-size': '1KiB' }, {}, /^--cache-size must be at least 1MiB, not "1KiB"$/],
    ['an odd size', { 'log-segment-size': '4194305' }, {}, /^--log-segment-size must be a multiple of 4KiB/],
    ['a duration', {}, { QUORATE_HISTORY_AGE: '60' }, /^QUORATE_HISTORY_AGE must be a time with its unit.*, not "60"$/],
    ['a long duration', { 'history-age': '400d' }, {}, /^--history-age must be at most 8760h, not "400d"$/],
    ['a number', { 'log-retain-entries': '1e3' }, {}, /^--log-retain-entries must be a whole number in decimal digits/],
    ['a level', { 'log-level': 'loud' }, {}, /^--log-level must be one of trace, .*, silent, not "loud"$/],
    ['a name', { name: 'n 1' }, {}, /^--name must be 1 to 64 letters, digits, .*, not "n 1"$/],
    ['an empty folder', { 'data-dir': '' }, {}, /^--data-dir must not be empty/],
    ['a long token', { 'cluster-token': 'x'.repeat(257) }, {}, /^--cluster-token must have at most 256 characters/],
    ['a strange URL', { advertise: 'n1:7700' }, {}, /^--advertise must begin with http:\/\//],
    ['a port', { 'peer-listen': '127.0.0.1:65536' }, {}, /^--peer-listen has port 65536; the highest is 65535$/],
    [
      'a stranger',
      { name: 'n9' },
      {},
      /^--name is n9, which --initial-cluster does not contain \(it has n1, n2, n3\)$/,
    ],
    [
      'two addresses',
      { 'peer-advertise': '127.0.0.1:1' },
      {},
      /^--peer-advertise is 127\.0\.0\.1:1, but .* make them equal$/,
    ],
    [
      'timing',
      { 'heartbeat-ms': '100' },
      {},
      /^--election-timeout-ms must be at least 4 times --heartbeat-ms: .* 300 is less than 4 x 100$/,
    ],
    ['a duplicate name', { 'initial-cluster': 'n1=h:1,n1=h:2' }, {}, /^--initial-cluster names n1 twice$/],
    [
      'a duplicate address',
      { 'initial-cluster': 'n1=h:1,n2=H:1' },
      {},
      /^--initial-cluster gives n1 and n2 the same address h:1$/,
    ],
    [
      'a wildcard member',
      { 'initial-cluster': 'n1=0.0.0.0:1' },
      {},
      /^--initial-cluster: the address of n1 is "0\.0\.0\.0:1", which/,
    ],
    [
      'a member without a port',
      { 'initial-cluster': 'n1=h' },
      {},
      /^--initial-cluster: the address of n1 must be host:port/,
    ],
    [
      'a list without names',
      { 'initial-cluster': 'h:1' },
      {},
      /^--initial-cluster must be a list such as .*; "h:1" is not name=host:port$/,
    ],
  ]
  it.each(cases)('%s', (_what, flags, env, expected) => {
    expect(problems(() => load(flags, env))).toEqual([expect.stringMatching(expected)])
  })

  it('required settings are asked for with an example, all at once', () => {
    expect(problems(() => loadConfig({ flags: {}, env: {} }))).toEqual([
      '--name is required, as in: --name n1',
      '--data-dir is required, as in: --data-dir ./data/n1',
      expect.stringMatching(/^--initial-cluster is required, as in: --initial-cluster n1=10\.0\.0\.1:7701,/),
    ])
  })

  it('an unknown key of the file is refused, with the likely one', () => {
    const config = file({ dataDir: 'x', bogus: 1 })
    expect(problems(() => load({ config }))).toEqual([
      expect.stringMatching(/^"dataDir" in .*quorate\.json is not a setting; did you mean "data-dir"\?$/),
      expect.stringMatching(/^"bogus" in .*quorate\.json is not a setting$/),
    ])
  })

  it('a value of a wrong type in the file is refused', () => {
    const config = file({ 'cluster-token': 7, 'cache-size': true, 'heartbeat-ms': 1.5 })
    expect(problems(() => load({ config }))).toEqual([
      expect.stringMatching(/^"cluster-token" in .* must be a string, not 7$/),
      expect.stringMatching(/^"heartbeat-ms" in .* must be a whole number.*, not 1\.5$/),
      expect.stringMatching(/^"cache-size" in .* must be a whole number, or a string with a unit, not true$/),
    ])
  })

  it('a file that is not a JSON object is refused', () => {
    expect(problems(() => load({ config: file('{"name":') }))[0]).toMatch(/^--config: .* cannot be read as JSON/)
    expect(problems(() => load({ config: file([]) }))[0]).toMatch(/must be a JSON object, such as/)
    expect(problems(() => load({ config: file('{"__proto__": {"name": "x"}}') }))[0]).toMatch(
      /"__proto__" .* not a setting/,
    )
  })

  it("an unknown QUORATE_ variable warns and never fails; others are nobody's business", () => {
    const env = { QUORATE_LISTENN: 'x', QUORATE_SERVICE_HOST: '10.0.0.9', QUORATE_ENDPOINTS: 'x', PATH: '/bin' }
    expect(load({}, env).warnings).toEqual([
      'the environment variable QUORATE_LISTENN is not a setting and is ignored',
      'the environment variable QUORATE_SERVICE_HOST is not a setting and is ignored',
    ])
  })
})

describe('the peer secret', () => {
  const SECRET = 'correct horse battery staple'
  it('is required as soon as one peer address is not loopback, and the message names the flag', () => {
    for (const flags of [EXPOSED, { 'peer-listen': '0.0.0.0:7701' }]) {
      expect(problems(() => load(flags))).toEqual([
        expect.stringMatching(
          /^--peer-secret-file is required, because the peer address \S+ is not a loopback address/,
        ),
      ])
    }
    expect(load({ 'initial-cluster': 'n1=localhost:1,n2=127.9.9.9:1,n3=[::1]:1' }).config.peerSecret).toBeUndefined()
  })

  it('is read from the variable or from the file, without white space around it', () => {
    expect(load(EXPOSED, { QUORATE_PEER_SECRET: ` ${SECRET}\n` }).config.peerSecret).toBe(SECRET)
    const path = secretFile(`${SECRET}\r\n`)
    expect(load({ ...EXPOSED, 'peer-secret-file': path }).config.peerSecret).toBe(SECRET)
    expect(load(EXPOSED, { QUORATE_PEER_SECRET_FILE: path }).config.peerSecret).toBe(SECRET)
  })

  it('a flag beats the variable, the variable beats the config file, two variables contradict each other', () => {
    const path = secretFile(SECRET)
    const env = { QUORATE_PEER_SECRET: 'another secret, long enough' }
    expect(load({ 'peer-secret-file': path }, env).config.peerSecret).toBe(SECRET)
    expect(load({ config: file({ 'peer-secret-file': path }) }, env).config.peerSecret).toBe(env.QUORATE_PEER_SECRET)
    expect(problems(() => load({}, { ...env, QUORATE_PEER_SECRET_FILE: path }))).toEqual([
      'QUORATE_PEER_SECRET and QUORATE_PEER_SECRET_FILE are both set; remove one of them',
    ])
  })

  it('H15: is refused when empty or unreadable, and a short one warns; no message contains it', () => {
    expect(problems(() => load(EXPOSED, { QUORATE_PEER_SECRET: ' ' }))).toEqual([
      expect.stringMatching(/^QUORATE_PEER_SECRET: the secret is empty/),
    ])
    expect(problems(() => load({ 'peer-secret-file': join(folder, 'none') }))).toEqual([
      expect.stringMatching(/^--peer-secret-file: .*none cannot be read: ENOENT/),
    ])
    const { warnings } = load(EXPOSED, { QUORATE_PEER_SECRET: 'hunter2' })
    expect(warnings).toEqual([expect.stringMatching(/^QUORATE_PEER_SECRET: the secret has less than 16 characters/)])
    expect(warnings.join()).not.toContain('hunter2')
  })

  it('cannot be given in the config file or as a flag', () => {
    expect(problems(() => load({ config: file({ 'peer-secret': SECRET }) }))[0]).toMatch(
      /"peer-secret" .* is not a setting/,
    )
  })
})

describe('the advertised URL', () => {
  it('is --listen where that is an address that others can use', () => {
    expect(load({ listen: '[::1]:80' }).config.advertise).toBe('http://[::1]:80')
    expect(load({ listen: '0.0.0.0:7700' }).config.advertise).toBeUndefined()
    expect(load({ listen: '[::]:7700' }).config.advertise).toBeUndefined()
    expect(load({ listen: '127.0.0.1:0' }).config.advertise).toBeUndefined()
  })

  it.each([
    'https://h:1',
    'http://h:1/path',
    'http://h:1?q',
    'http://u:p@h:1',
    'http://0.0.0.0:1',
    'http://[::]:1',
    'h',
  ])('is refused as %s', (advertise) => {
    expect(problems(() => load({ advertise }))).toEqual([expect.stringMatching(/^--advertise must/)])
  })

  it('loses a slash at its end', () => {
    expect(load({ advertise: 'http://Quorate.example:7700/' }).config.advertise).toBe('http://quorate.example:7700')
  })
})

it('an HTTP port that others reach starts with one warning', () => {
  expect(load({ listen: '0.0.0.0:7700' }).warnings).toEqual([
    expect.stringMatching(
      /^--listen 0\.0\.0\.0:7700 is not a loopback address, and HTTP requests are not authenticated/,
    ),
  ])
})
