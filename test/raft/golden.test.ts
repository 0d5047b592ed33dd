// Runs the golden scripts and compares. UPDATE=1 rewrites them: read the difference before you keep it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { env } from 'node:process'
import { describe, expect, test } from 'vitest'
import { runScript } from './support/script.ts'

const directory = new URL('golden/', import.meta.url)
const names = readdirSync(directory).filter((name) => name.endsWith('.txt'))

describe('golden scripts', () => {
  test.each(names)('%s', (name) => {
    const file = new URL(name, directory)
    const script = readFileSync(file, 'utf8')
    const result = runScript(script)
    if (env['UPDATE'] === '1') writeFileSync(file, result)
    else expect(result).toBe(script)
  })
})
