// The tables of the README name tests that there are.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')

const TITLE = /^\s*(?:describe|it|test)(?:\.each\(.*\))?\(\s*(['`"])(.+?)\1,/gm

function titlesOf(file: string): readonly string[] {
  return [...read(file).matchAll(TITLE)].map(([, , title]) => title!)
}

describe('the tables of the README', () => {
  const rows = read('./README.md')
    .split('\n')
    .filter((line) => /^\|(?! -| what)/.test(line))

  it('name a test in each row', () => {
    expect(rows.length).toBeGreaterThan(50)
    for (const row of rows) expect(row).toMatch(/`[\w-]+\.test\.ts`/)
  })

  it('name files that exist and titles that are in them', () => {
    for (const row of rows) {
      for (const [, file, named] of row.matchAll(/`((?:test\/\w+\/)?[\w-]+\.test\.ts)`(?:: ((?:_[^_]+_(?:, )?)+))?/g)) {
        const titles = titlesOf(file!.startsWith('test/') ? `../../${file}` : `./${file}`)
        for (const [, part] of (named ?? '').matchAll(/_([^_]+)_/g))
          expect(
            titles.some((title) => title.includes(part!)),
            `${file}: ${part}`,
          ).toBe(true)
      }
    }
  })
})
