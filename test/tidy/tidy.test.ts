// Style as a test: who imports whom, banned words, budgets, dead files, links. One test a rule; a failure lists file:line: rule.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { checkFileLength, checkFirstComment, checkFunctionLength } from './rules/budgets.ts'
import { checkDeadFiles } from './rules/dead-files.ts'
import { checkImports } from './rules/imports.ts'
import { checkLinks } from './rules/links.ts'
import { describeViolation, findFiles, readSources } from './rules/source.ts'
import type { Violation } from './rules/source.ts'
import { checkBannedWords, checkLeftOutTests, checkLooseEnds } from './rules/words.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const sources = readSources(root)
const pages = findFiles(root, /\.md$/).map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))

const expectNone = (violations: readonly Violation[]): void => {
  expect(violations.map(describeViolation).join('\n')).toBe('')
}

describe('the project', () => {
  test('has sources to check', () => {
    expect(sources.length).toBeGreaterThan(20)
  })

  test('imports only what the table allows', () => expectNone(checkImports(sources)))
  test('uses no banned word', () => expectNone(checkBannedWords(sources)))
  test('has no loose ends', () => expectNone(checkLooseEnds([...sources, ...pages])))
  test('leaves out no test without a reason', () => expectNone(checkLeftOutTests(sources)))
  test('keeps files short', () => expectNone(checkFileLength(sources)))
  test('keeps functions short', () => expectNone(checkFunctionLength(sources)))
  test('says in each file first what it is for', () => expectNone(checkFirstComment(sources)))
  test('has no dead files', () => expectNone(checkDeadFiles(sources)))
  test('has no broken links', () => expectNone(checkLinks(pages, (path) => existsSync(join(root, path)))))
})
