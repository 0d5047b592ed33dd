// Holds README.md to the tests: every test it names exists in the file it names, and every test here is in its table.
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const directory = new URL('./', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, directory), 'utf8')

const rows = [
  ...read('README.md').matchAll(/^\| (?<claim>.+?) +\| (?<title>.+?) +\| \[.*\]\((?<file>.+)\) +\|$/gm),
].map(({ groups }) => ({ title: groups?.['title'] ?? '', file: groups?.['file'] ?? '' }))
const files = readdirSync(directory).filter((name) => name.endsWith('.test.ts') && name !== 'table.test.ts')

describe('the table of the paper tests', () => {
  test('names tests that exist', () => {
    expect(rows.length).toBeGreaterThan(100)
    expect(rows.filter(({ title, file }) => !read(file).includes(title))).toEqual([])
  })

  test.each(files)('has every test of %s', (file) => {
    const listed = new Set(rows.filter((row) => row.file === file).map(({ title }) => title))
    const titles = [
      ...read(file).matchAll(/(?:^ +(?:test|\]\))\(|^ +test\.each.*\)\(|^ {4})'(?<title>.+)',(?: |$)/gm),
    ].map(({ groups }) => groups?.['title'] ?? '')
    expect(titles.length).toBeGreaterThan(5)
    expect(titles.filter((title) => title !== '%s' && !listed.has(title))).toEqual([])
  })
})
