// What `quorate dev` prints: the nodes' lines with their names in front, and the banner once a leader is known.
import { get } from 'node:http'
import { basename, relative } from 'node:path'
import { Transform } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { shellQuote } from './dev-plan.ts'
import type { DevNode } from './dev-plan.ts'

/** A longer line is broken: a node that never ends its line must not fill this process's memory. */
const LINE_CHARACTERS_MAX = 65_536

/** Puts `prefix` in front of each line. Pipe through it: back-pressure then reaches the node. */
export function prefixLines(prefix: string): Transform {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const line = (text: string): string => `${prefix} ${text}\n`
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const parts = (rest + decoder.write(chunk)).split('\n')
      rest = parts.pop() ?? ''
      if (rest.length > LINE_CHARACTERS_MAX) {
        parts.push(rest)
        rest = ''
      }
      done(null, parts.map(line).join(''))
    },
    flush(done) {
      const last = rest + decoder.end()
      done(null, last === '' ? '' : line(last))
    },
  })
}

/** How to call this program again, as a person would type it here. */
export function commandName(script: string | undefined, cwd: string): string {
  if (script === undefined || basename(script) === 'quorate') return 'quorate'
  return `node ${shellQuote(relative(cwd, script))}`
}

export interface Banner {
  readonly nodes: readonly DevNode[]
  /** Those that know who leads. */
  readonly upCount: number
  readonly leader: string
  readonly dataDir: string
  readonly command: string
}

export function bannerText({ nodes, upCount, leader, dataDir, command }: Banner): string {
  const first = nodes[0]!
  const last = nodes.at(-1)!
  const isDefault = nodes.length === 3 && first.httpPort === 7700
  const endpoints = isDefault ? '' : ` --endpoints ${nodes.map(({ url }) => url).join(',')}`
  const all = nodes.length === 1 ? 'one node is' : `${nodes.length} nodes are`
  const which = upCount === nodes.length ? all : `${upCount} of ${nodes.length} nodes are`
  return [
    '',
    `Quorate is ready: ${which} up, ${leader} leads. Data is in ${dataDir}; Ctrl-C stops everything.`,
    '',
    ...nodes.map(({ name, url }) => `  ${name}  ${url}`),
    '',
    'Try:',
    `  curl -X PUT --data-binary 'hello' ${first.url}/v1/kv/greeting`,
    `  curl ${last.url}/v1/kv/greeting`,
    `  ${command} status${endpoints}`,
    '',
    '',
  ].join('\n')
}

/** The leader's name, as far as this node knows it; undefined while there is none or the node does not answer. */
export function askLeader(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get(`${url}/v1/status`, { agent: false, timeout: 1_000 }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
        if (body.length > LINE_CHARACTERS_MAX) request.destroy()
      })
      response.on('end', () => resolve(leaderIn(body)))
      response.on('error', () => resolve(undefined))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(undefined))
  })
}

function leaderIn(body: string): string | undefined {
  try {
    const { leader } = JSON.parse(body) as { leader?: { name?: unknown } | null }
    return typeof leader?.name === 'string' ? leader.name : undefined
  } catch {
    // Something else answers there; the node will say so in its own output.
    return undefined
  }
}
