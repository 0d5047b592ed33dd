// What the tests of the HTTP edge share: the application over a node in memory, with or without a socket, and checks that
// hold for every answer.
import type { AddressInfo } from 'node:net'
import pino from 'pino'
import { expect, onTestFinished } from 'vitest'
import { buildApp } from '../../src/http/app.ts'
import type { App, AppOptions } from '../../src/http/app.ts'
import { MemoryNode } from '../support/memory-node.ts'
import { RawConnection } from '../support/raw-http.ts'
import type { RawAnswer } from '../support/raw-http.ts'

export interface Bench {
  readonly node: MemoryNode
  readonly app: App
  /** What was logged, one object a line. */
  readonly logged: Record<string, unknown>[]
}

export function openBench(options: Partial<AppOptions> & { level?: string } = {}): Bench {
  const { level = 'info', ...rest } = options
  const node = new MemoryNode()
  const logged: Record<string, unknown>[] = []
  const log = pino(
    { level },
    { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) },
  )
  const versions = { release: '0.1.0', node: 'v20.0.0' }
  const app = buildApp({ node, log, versions, isLoopback: true, allowedHosts: [], ...rest })
  onTestFinished(() => app.server.close())
  return { node, app, logged }
}

export interface SocketBench extends Bench {
  readonly port: number
  readonly connect: () => Promise<RawConnection>
  /** One request on a connection of its own; `Host` and `Connection: close` are added. */
  readonly ask: (requestLine: string, headers?: readonly string[], body?: string) => Promise<RawAnswer>
}

/** The same on a port of 127.0.0.1. Connections are closed when the test ends. */
export async function listenBench(options: Partial<AppOptions> = {}): Promise<SocketBench> {
  const bench = openBench(options)
  await bench.app.server.listen({ port: 0, host: '127.0.0.1' })
  const { port } = bench.app.server.server.address() as AddressInfo
  const connect = async (): Promise<RawConnection> => {
    const connection = await RawConnection.open(port)
    onTestFinished(() => connection.close())
    return connection
  }
  return {
    ...bench,
    port,
    connect,
    async ask(requestLine, headers = [], body = '') {
      const connection = await connect()
      const length = body === '' ? [] : [`Content-Length: ${body.length}`]
      const lines = [`${requestLine} HTTP/1.1`, `Host: 127.0.0.1:${port}`, 'Connection: close', ...length, ...headers]
      connection.send(`${lines.join('\r\n')}\r\n\r\n${body}`)
      const answer = await connection.answer({ isHead: requestLine.startsWith('HEAD') })
      connection.close()
      return answer
    },
  }
}

/** Waits for a state, with patience for busy machines. */
export const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 20_000, interval: 5 })

export interface ProblemDocument {
  readonly code: string
  readonly outcome: string
  readonly retryable: boolean
  readonly detail: string
  readonly [member: string]: unknown
}

interface AnyAnswer {
  readonly status: number
  readonly contentType: string | undefined
  readonly text: string
}

function checkProblem(answer: AnyAnswer, status: number, code: string): ProblemDocument {
  expect(answer.text).toContain(code)
  expect(answer.status).toBe(status)
  expect(answer.contentType).toBe('application/problem+json')
  const document = JSON.parse(answer.text) as ProblemDocument
  expect(document).toMatchObject({
    type: `urn:quorate:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: expect.stringMatching(/\w/) as string,
    status,
    detail: expect.stringMatching(/^[^\n]+\.$/) as string,
    code,
    outcome: expect.stringMatching(/^(not-applied|unknown)$/) as string,
    retryable: expect.any(Boolean) as boolean,
  })
  expect(answer.text).not.toMatch(/\bat .*\.(ts|js)|node_modules|\/src\//)
  return document
}

/** Checks status, media type and the members that every problem has. */
export function expectProblem(answer: RawAnswer, status: number, code: string): ProblemDocument {
  expect(answer.headers.get('quorate-node')).toBe('n1')
  expect(answer.headers.get('cache-control')).toBe('no-store')
  const contentType = answer.headers.get('content-type')
  return checkProblem({ status: answer.status, contentType, text: answer.body.toString() }, status, code)
}

interface Injected {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly payload: string
}

export function expectInjectedProblem(answer: Injected, status: number, code: string): ProblemDocument {
  expect(answer.headers['quorate-revision']).toMatch(/^\d+$/)
  expect(answer.headers['quorate-node']).toBe('n1')
  expect(answer.headers['cache-control']).toBe('no-store')
  const contentType = answer.headers['content-type'] as string
  return checkProblem({ status: answer.statusCode, contentType, text: answer.payload }, status, code)
}
