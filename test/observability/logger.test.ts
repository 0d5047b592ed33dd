// The log: machines can parse it, callers cannot forge it, secrets are not in it.
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../src/observability/logger.ts'
import type { NodeLog } from '../../src/observability/logger.ts'

function capture(pretty: boolean): { readonly log: NodeLog['log']; readonly lines: () => string[] } {
  let output = ''
  const destination = {
    write: (text: string) => {
      output += text
    },
  }
  const nodeLog = createLogger({ level: 'info', pretty, node: 'n1', destination })
  return { log: nodeLog.log, lines: () => output.split('\n').slice(0, -1) }
}

const FORGED = 'key\r\n{"level":"fatal","msg":"forged"}\u001b[2J\u2028'

describe('JSON', () => {
  it('has level, time, pid and node in each line', () => {
    const { log, lines } = capture(false)
    log.info({ term: 3 }, 'became leader')
    log.debug('not at this level')
    expect(lines()).toHaveLength(1)
    expect(JSON.parse(lines()[0]!)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      pid: process.pid,
      node: 'n1',
      term: 3,
      msg: 'became leader',
    })
  })

  it('H15: text that callers control stays in its line', () => {
    const { log, lines } = capture(false)
    log.warn({ key: FORGED }, FORGED)
    expect(lines()).toHaveLength(1)
    expect(JSON.parse(lines()[0]!)).toMatchObject({ key: FORGED, msg: FORGED, level: 'warn' })
  })

  it('H15: secrets are blanked', () => {
    const { log, lines } = capture(false)
    log.error(
      { peerSecret: 'hunter2', config: { peerSecret: 'hunter2' }, req: { headers: { authorization: 'hunter2' } } },
      'x',
    )
    expect(lines()[0]).not.toContain('hunter2')
    expect(lines()[0]).toContain('[redacted]')
  })
})

describe('readable', () => {
  it('is one line with time, level and fields', () => {
    const { log, lines } = capture(true)
    log.info({ term: 3 }, 'became leader')
    expect(lines()).toEqual([expect.stringMatching(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: became leader \{"term":3\}$/)])
  })

  it('H15: text that callers control stays in its line, and cannot command the terminal', () => {
    const { log, lines } = capture(true)
    log.warn({ key: FORGED }, FORGED)
    expect(lines()).toHaveLength(1)
    expect(lines()[0]).not.toMatch(/[\p{Cc}\u2028]/u)
    log.error({ err: new Error('\u001b[2J\u009b2J') }, 'stopping')
    expect(lines().join('')).not.toMatch(/[\p{Cc}\u2028]/u)
  })

  it('shows the stack of an error', () => {
    const { log, lines } = capture(true)
    log.error({ err: new TypeError('broken') }, 'stopping')
    expect(lines().join('\n')).toMatch(/ERROR: stopping[\s\S]*TypeError: broken[\s\S]*at /)
  })
})
