// What a person in front of `quorate dev` reads.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { askLeader, bannerText, commandName, prefixLines } from '../../src/cli/dev-output.ts'
import { planNodes } from '../../src/cli/dev-plan.ts'

async function prefixed(...chunks: readonly (string | Buffer)[]): Promise<string> {
  const stream = prefixLines('n1|')
  const output = text(stream)
  for (const chunk of chunks) stream.write(chunk)
  stream.end()
  return output
}

describe('lines of a node', () => {
  it('get its name in front, however they arrive', async () => {
    expect(await prefixed('one\ntw', 'o\n', '\nthree')).toBe('n1| one\nn1| two\nn1| \nn1| three\n')
  })

  it('keep characters that arrive in two pieces', async () => {
    const bytes = Buffer.from('grün\n')
    expect(await prefixed(bytes.subarray(0, 3), bytes.subarray(3))).toBe('n1| grün\n')
  })

  it('are broken when they never end', async () => {
    const output = await prefixed('x'.repeat(70_000), 'y\n')
    expect(output).toBe(`n1| ${'x'.repeat(70_000)}\nn1| y\n`)
  })
})

const banner = (nodes: number, basePort = 7700, upCount = nodes): string =>
  bannerText({
    nodes: planNodes({ nodes, basePort, dataDir: './data', logLevel: 'info' }),
    upCount,
    leader: 'n2',
    dataDir: './data',
    command: 'quorate',
  })

describe('the banner', () => {
  it('names the leader, the addresses, and what to try', () => {
    expect(banner(3)).toBe(`
Quorate is ready: 3 nodes are up, n2 leads. Data is in ./data; Ctrl-C stops everything.

  n1  http://127.0.0.1:7700
  n2  http://127.0.0.1:7710
  n3  http://127.0.0.1:7720

Try:
  curl -X PUT --data-binary 'hello' http://127.0.0.1:7700/v1/kv/greeting
  curl http://127.0.0.1:7720/v1/kv/greeting
  quorate status

`)
  })

  it('says when some nodes are missing', () => {
    expect(banner(3, 7700, 2)).toContain('Quorate is ready: 2 of 3 nodes are up, n2 leads.')
  })

  it('names the endpoints where they are not the default ones', () => {
    expect(banner(2, 8800)).toContain('quorate status --endpoints http://127.0.0.1:8800,http://127.0.0.1:8810\n')
  })
})

it('calls this program as a person would', () => {
  expect(commandName('/usr/local/bin/quorate', '/home/me')).toBe('quorate')
  expect(commandName('/src/q/dist/cli/quorate.cjs', '/src/q')).toBe('node dist/cli/quorate.cjs')
})

describe('asking for the leader', () => {
  it.each([
    ['{"leader":{"name":"n3","url":"x"}}', 'n3'],
    ['{"leader":null}', undefined],
    ['null', undefined],
    ['<html>', undefined],
  ])('an answer of %s means %s', async (body, expected) => {
    const server = createServer((_request, response) => response.end(body))
    await new Promise<void>((resolve) => {
      server.listen({ host: '127.0.0.1', port: 0 }, resolve)
    })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await askLeader(url)).toBe(expected)
    await new Promise((resolve) => {
      server.close(resolve)
    })
    expect(await askLeader(url)).toBeUndefined()
  })
})
