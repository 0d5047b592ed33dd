// The commands under "HTTP by example" in the project's README, run by a shell, in the order of the page, with the answers printed there.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { hasCurl } from '../support/curl.ts'
import { RealCluster } from '../support/real-cluster.ts'

const run = promisify(execFile)
const PORTS = ['7700', '7710', '7720']

test.skipIf(!hasCurl())('the answers are those that the README prints', { timeout: 60_000 }, async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const section = readme.slice(readme.indexOf('## HTTP by example'), readme.indexOf('## The TypeScript client'))
  const examples = [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, example]) => example!)
  expect(examples.length).toBeGreaterThan(7)

  const cluster = await RealCluster.start()
  const directory = await mkdtemp(join(tmpdir(), 'quorate-readme-'))
  onTestFinished(async () => {
    await cluster.close()
    await rm(directory, { recursive: true })
  })
  await writeFile(join(directory, 'logo.png'), 'a picture')
  const urls = cluster.nodes.map(({ url }) => url)
  const script = ["curl -X PUT --data-binary 'hello' http://127.0.0.1:7700/v1/kv/greeting", ...examples]
    .join('\n')
    .replaceAll(/http:\/\/127\.0\.0\.1:(\d+)/g, (_, port: string) => urls[PORTS.indexOf(port)]!)
    .replaceAll('curl ', 'curl --silent ')
  const { stdout } = await run('bash', ['-c', script], { cwd: directory })

  const promised = [...section.matchAll(/# (\{[^.\n]*?\})(?=[ :,\n]|$)/gm)].map(([, answer]) => answer!)
  const fixed = promised.filter((answer) => !answer.includes('"id"'))
  expect(fixed.length).toBeGreaterThan(7)
  let at = 0
  for (const answer of fixed) {
    const found = stdout.indexOf(answer, at)
    expect(found, `${answer} behind ${stdout.slice(at, at + 500)}`).toBeGreaterThanOrEqual(0)
    at = found
  }
  const [, watched = ''] = /^```\n(event: put[\s\S]*?)^```/m.exec(section) ?? []
  expect(watched).not.toBe('')
  expect(stdout).toContain(watched)
})
