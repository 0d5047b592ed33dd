// The example in the client's README runs, as printed, against a node.
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import vm from 'node:vm'
import pino from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import * as clientModule from '../../src/client/index.ts'
import { buildApp } from '../../src/http/app.ts'
import { ModelNode } from './model-node.ts'

test('the example runs and prints what it should', async () => {
  const versions = { release: '0.1.0', node: 'v20.0.0' }
  const log = pino({ level: 'silent' })
  const app = buildApp({ node: new ModelNode(), log, versions, isLoopback: true, allowedHosts: [] })
  await app.server.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => app.server.close())
  const endpoint = `http://127.0.0.1:${(app.server.server.address() as AddressInfo).port}`

  const readme = readFileSync(new URL('../../src/client/README.md', import.meta.url), 'utf8')
  const [, example = ''] = /^```js\n([\s\S]*?)^```/m.exec(readme) ?? []
  const body = example
    .replace(/^import (.*) from 'quorate\/client'$/m, 'const $1 = clientModule')
    .replace(/'http:\/\/[^']*'/, JSON.stringify(endpoint))
  expect(body).not.toMatch(/^import/m)

  const printed: unknown[][] = []
  const console = { log: (...line: unknown[]) => void printed.push(line) }
  await (vm.runInNewContext(`(async () => {${body}})()`, { clientModule, console }) as Promise<void>)
  expect(printed).toEqual([['hello', 'at revision', 2], [{ port: 8080 }]])
})
