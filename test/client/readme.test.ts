// The examples for the client in its README and in the project's run, as printed, against a node.
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import vm from 'node:vm'
import pino from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import * as clientModule from '../../src/client/index.ts'
import { buildApp } from '../../src/http/app.ts'
import { ModelCluster } from './model-cluster.ts'
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

test('the example of the whole client does, too', async () => {
  const cluster = await ModelCluster.start()
  onTestFinished(() => cluster[Symbol.asyncDispose]())
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const [, example = ''] = /^```ts\n([\s\S]*?)^```/m.exec(readme) ?? []
  // The Node.js that runs this may not know `await using` yet: what it declares is given back below, last first.
  const body = example
    .replace(/^import (.*) from 'quorate\/client'$/m, 'const $1 = clientModule')
    .replace(/\['http:\/\/.*'\]/, JSON.stringify(cluster.endpoints))
    .replaceAll(/^await using (\w+) = (.*)$/gm, 'const $1 = hold($2)')
  expect(body.match(/hold\(/g)).toHaveLength(4)

  const held: AsyncDisposable[] = []
  const hold = <T extends AsyncDisposable>(resource: T): T => {
    held.unshift(resource)
    return resource
  }
  const printed: unknown[][] = []
  const console = { log: (...line: unknown[]) => void printed.push(line) }
  await (vm.runInNewContext(`(async () => {${body}})()`, { clientModule, console, hold }) as Promise<void>)
  for (const resource of held) await resource[Symbol.asyncDispose]()
  expect(printed.slice(0, 3)).toEqual([['hello'], [true], [1n]])
  expect(printed.slice(3).filter(([kind]) => kind !== 'sync')).toEqual([
    ['put', expect.any(Number)],
    ['dark'],
    ['stop working'],
  ])
})
