// The rules themselves: each finds what was planted for it, and leaves alone what only looks like it.
import { describe, expect, test } from 'vitest'
import { checkFileLength, checkFirstComment, checkFunctionLength } from './rules/budgets.ts'
import { checkDeadFiles } from './rules/dead-files.ts'
import { checkImports, importsOf } from './rules/imports.ts'
import { checkLinks } from './rules/links.ts'
import { blankComments, describeViolation, sourceFile } from './rules/source.ts'
import type { SourceFile, Violation } from './rules/source.ts'
import { checkBannedWords, checkLeftOutTests, checkLooseEnds } from './rules/words.ts'

type Rule = (files: readonly SourceFile[]) => Violation[]
const found = (rule: Rule, path: string, text: string): string[] =>
  rule([sourceFile(path, text)]).map(describeViolation)

const lines = (count: number): string => Array.from({ length: count }, () => '  x()').join('\n')

const method = (count: number): string => `class A {\n  #long(a: B): void {\n  ${lines(count)}\n  }\n\n  b() {}\n}\n`

const linkViolations = (text: string): string[] =>
  checkLinks([{ path: 'src/kv/README.md', text }], (path) => path === 'src/kv/types.ts').map(describeViolation)

describe('the lexer', () => {
  test.each([
    ['a line comment', 'a // Date\nb', 'a        \nb'],
    ['a block comment', 'a /* Date\n */ b', 'a        \n    b'],
    ['a string', `x('Date', "Date")`, `x('    ', "    ")`],
    ['an escaped quote', `x('\\'Date') + y`, `x('      ') + y`],
    ['a template', 'x(`Date`) + y', 'x(`    `) + y'],
    ['a placeholder, which is code', 'x(`a ${Date.now({a: {}})} b`) + y', 'x(`  ${Date.now({a: {}})}  `) + y'],
    ['a template in a placeholder', 'x(`a ${`b ${c} d`} e`) + y', 'x(`  ${`  ${c}  `}  `) + y'],
    ['a regular expression', "x = /['/]Date/.test(y)", 'x = /       /.test(y)'.replace('       ', '        ')],
    ['a division', 'a / b / Date', 'a / b / Date'],
    ['a slash in a string', `'a // b' + Date`, `'      ' + Date`],
    ['a first line for the shell', '#!/usr/bin/env node\na', '                   \na'],
  ])('blanks %s', (_what, text, code) => {
    expect(blankComments(text)).toBe(code)
  })
})

describe('imports', () => {
  test('are found in every spelling', () => {
    const text = [
      `import a from './a.ts'`,
      `import type { B } from '../b.ts'`,
      `import {\n  c,\n} from "node:fs"`,
      `export * from './d.ts'`,
      `export type { E } from './e.ts'`,
      `import './f.ts'`,
      `const g = await import('./g.ts')`,
      `const h = require('h')`,
      `const i = new URL('./i.ts', import.meta.url)`,
      `// import './not.ts'`,
      `const text = "import './not.ts'"`,
    ].join('\n')
    const imports = importsOf(sourceFile('src/node/x.ts', text))
    expect(imports.map(({ specifier, isTypeOnly }) => (isTypeOnly ? `type ${specifier}` : specifier))).toEqual([
      './a.ts',
      'type ../b.ts',
      'node:fs',
      './d.ts',
      'type ./e.ts',
      './f.ts',
      './g.ts',
      'h',
      './i.ts',
    ])
    expect(imports.map(({ target }) => target).slice(0, 2)).toEqual(['src/node/a.ts', 'src/b.ts'])
    expect(imports.map(({ line }) => line).slice(0, 4)).toEqual([1, 2, 5, 6])
  })

  test.each([
    ['src/raft/x.ts', '../kv/types.ts', 'raft may not import kv/types.ts'],
    ['src/kv/x.ts', '../raft/index.ts', 'kv may not import raft/index.ts'],
    ['src/kv/x.ts', '../api/status.ts', 'kv may not import api/status.ts'],
    ['src/lib/x.ts', '../api/errors.ts', 'lib may not import api/errors.ts'],
    ['src/node/x.ts', '../storage/wal/index.ts', 'node may not import storage/wal/index.ts'],
    ['src/node/x.ts', 'node:fs', 'node may not import node:fs'],
    ['src/raft/deep/x.ts', '../../node/ports.ts', 'raft may not import node/ports.ts'],
    ['src/storage/wal/x.ts', 'msgpackr', 'storage may not import msgpackr'],
    ['src/storage/wal/x.ts', '../../raft/raft-node.ts', 'storage may not import raft/raft-node.ts'],
    ['src/storage/wal/x.ts', '../../raft/index.ts', 'storage may import only types from raft/index.ts'],
    ['src/http/x.ts', '../node/node-driver.ts', 'http may not import node/node-driver.ts'],
    ['src/client/x.ts', 'fastify', 'client may not import fastify'],
    ['src/client/x.ts', '../index.ts', 'client may not import index.ts'],
    ['src/lib/x.ts', '../../test/support/x.ts', 'src may not import test/support/x.ts'],
    ['src/lib/x.ts', './bytes.js', './bytes.js lacks its .ts extension'],
    ['src/lib/x.ts', './bytes', './bytes lacks its .ts extension'],
  ])('of %s from %s are refused', (path, specifier, detail) => {
    expect(found(checkImports, path, `// x\nimport { x } from '${specifier}'\n`)).toEqual([
      `${path}:2: imports: ${detail}`,
    ])
  })

  test('that the table allows pass', () => {
    const good: [string, string][] = [
      ['src/kv/x.ts', `import { decodeEntry } from '../api/command-codec.ts'`],
      ['src/node/x.ts', `import { RaftNode } from '../raft/index.ts'`],
      ['src/storage/wal/x.ts', `import type { Entry } from '../../raft/index.ts'\nimport './frame.ts'`],
      ['src/http/x.ts', `import x from '@fastify/swagger'\nimport type { NodeFacade } from '../node/facade.ts'`],
      ['src/config/x.ts', `import { x } from 'typebox/schema'`],
      ['src/cli/quorate.cts', `void import('./main.js')`],
      ['src/start-node.ts', `import './storage/wal/index.ts'\nimport 'pino'`],
      ['src/version.ts', `const url = new URL('../package.json', import.meta.url)`],
      ['test/x.test.ts', `import '../src/kv/index.ts'\nimport 'anything'`],
    ]
    for (const [path, text] of good) expect(found(checkImports, path, text), path).toEqual([])
  })

  test('in a folder that nobody decided about are refused', () => {
    expect(found(checkImports, 'src/misc/x.ts', '')).toEqual([
      'src/misc/x.ts:1: imports: the folder misc is not in the table',
    ])
  })
})

describe('banned words', () => {
  test.each([
    ['src/lib/x.ts', 'const now = Date.now()', 'Date'],
    ['src/node/x.ts', 'performance.now()', 'performance'],
    ['src/raft/x.ts', 'Math.random()', 'Math.random'],
    ['src/kv/x.ts', 'crypto.randomUUID()', 'crypto'],
    ['src/node/x.ts', 'setTimeout(f, 1)', 'setTimeout'],
    ['src/node/x.ts', 'setImmediate(f)', 'setImmediate'],
    ['src/api/x.ts', "process.env['X']", 'process'],
    ['src/node/x.ts', 'console.log(1)', 'console'],
    ['src/api/x.ts', 'new Intl.Collator()', 'Intl'],
    ['src/kv/x.ts', 'a.localeCompare(b)', '.localeCompare'],
    ['src/raft/x.ts', 'const f = async () => 1', 'async'],
    ['src/kv/x.ts', 'let p: Promise<void>', 'Promise'],
    ['src/kv/x.ts', 'let x: any', 'any'],
    ['src/raft/x.ts', 'enum Role {}', 'enum'],
  ])('in %s: %s', (path, text, word) => {
    expect(found(checkBannedWords, path, text)).toEqual([expect.stringContaining(`${path}:1: banned word: ${word} (`)])
  })

  test('are free in prose, in longer words, as members and at the edges', () => {
    expect(found(checkBannedWords, 'src/raft/x.ts', "// any Date\nthrow new Error('any process')")).toEqual([])
    expect(found(checkBannedWords, 'src/raft/x.ts', 'a ? process : b')).toHaveLength(1)
    expect(
      found(checkBannedWords, 'src/raft/x.ts', 'many({ process: 1, any: 2 }, updateDate, this.process())'),
    ).toEqual([])
    expect(found(checkBannedWords, 'src/node/x.ts', 'const f = async (): Promise<void> => {}')).toEqual([])
    expect(found(checkBannedWords, 'src/cli/x.ts', 'process.exit(Date.now())')).toEqual([])
  })
})

describe('loose ends', () => {
  test('are found in comments and pages', () => {
    const word = ['TO', 'DO'].join('')
    expect(found(checkLooseEnds, 'src/lib/x.ts', `// fine\n// ${word}: later`)).toEqual([
      `src/lib/x.ts:2: loose end: ${word}`,
    ])
    expect(found(checkLooseEnds, 'README.md', 'mastodon, toDo')).toEqual([])
  })

  test('of tests: only and skip', () => {
    expect(found(checkLeftOutTests, 'test/x.test.ts', 'test.only(f)')).toHaveLength(1)
    expect(found(checkLeftOutTests, 'test/x.test.ts', '// Why.\ntest.only(f)')).toHaveLength(1)
    expect(found(checkLeftOutTests, 'test/x.test.ts', 'describe.skip(f)')).toHaveLength(1)
    expect(found(checkLeftOutTests, 'test/x.test.ts', 'test.concurrent.skip(f)')).toHaveLength(1)
    expect(found(checkLeftOutTests, 'test/x.test.ts', '// No IPv6 there.\ntest.skip(f)')).toEqual([])
    expect(found(checkLeftOutTests, 'test/x.test.ts', 'list.skip(3); test.skipIf(isRoot)(f)')).toEqual([])
  })
})

describe('budgets', () => {
  test('of files', () => {
    expect(found(checkFileLength, 'src/lib/x.ts', `${lines(400)}\n`)).toEqual([])
    expect(found(checkFileLength, 'src/lib/x.ts', `${lines(401)}\n`)).toEqual([
      'src/lib/x.ts:401: file length: 401 lines, at most 400',
    ])
  })

  test.each([
    ['a function', 'function long(a: number): void {'],
    ['an exported async function', 'export async function long<T>(a: T): Promise<T> {'],
    ['parameters on lines of their own', 'function long(\n  a: number,\n): void {'],
    ['a destructured parameter', 'function long({\n  a,\n}: Options): void {'],
    ['an arrow function', 'const long = (a: number): void => {'],
  ])('of functions: %s', (_what, header) => {
    const start = header.split('\n').length
    expect(found(checkFunctionLength, 'src/lib/x.ts', `// x\n${header}\n${lines(59 - start)}\n}\n`)).toEqual([])
    expect(found(checkFunctionLength, 'src/lib/x.ts', `// x\n${header}\n${lines(60 - start)}\n}\n`)).toEqual([
      'src/lib/x.ts:2: function length: long takes 61 lines, at most 60',
    ])
  })

  test('of methods, and not of classes', () => {
    expect(found(checkFunctionLength, 'src/lib/x.ts', method(58))).toEqual([])
    expect(found(checkFunctionLength, 'src/lib/x.ts', method(59))).toEqual([
      'src/lib/x.ts:2: function length: #long takes 61 lines, at most 60',
    ])
  })

  test('of comments: at least the first', () => {
    expect(found(checkFirstComment, 'src/lib/x.ts', '// What it is for.\n')).toEqual([])
    expect(found(checkFirstComment, 'src/lib/x.ts', '#!/usr/bin/env node\n// What it is for.\n')).toEqual([])
    expect(found(checkFirstComment, 'src/lib/x.ts', "import 'x'\n")).toHaveLength(1)
    expect(found(checkFirstComment, 'src/lib/x.ts', '\n// Late.\n')).toHaveLength(1)
  })
})

describe('dead files', () => {
  test('are those that no entry point reaches', () => {
    const files = [
      sourceFile('src/index.ts', `export * from './node/a.ts'`),
      sourceFile('src/node/a.ts', `import type { B } from './b.ts'`),
      sourceFile('src/node/b.ts', ''),
      sourceFile('src/node/tested.ts', ''),
      sourceFile('src/node/dead.ts', `import './b.ts'`),
      sourceFile('src/storage/memory-twin.ts', ''),
      sourceFile('src/cli/quorate.cts', `void import('./main.js')`),
      sourceFile('src/cli/main.ts', ''),
      sourceFile('test/a.test.ts', `import './support/used.ts'\nimport '../src/node/tested.ts'`),
      sourceFile('test/support/used.ts', `import '../../src/storage/memory-twin.ts'`),
      sourceFile('test/support/dead.ts', ''),
    ]
    expect(checkDeadFiles(files).map(describeViolation)).toEqual([
      'src/node/tested.ts:1: dead file: only tests use it',
      'src/node/dead.ts:1: dead file: nothing uses it',
      'test/support/dead.ts:1: dead file: nothing uses it',
    ])
  })
})

describe('links', () => {
  test('to what does not exist are found', () => {
    expect(linkViolations('x\n[gone](./gone.ts)')).toEqual(['src/kv/README.md:2: broken link: ./gone.ts'])
    expect(linkViolations('[outside](../../../x.md)')).toHaveLength(1)
    expect(linkViolations('[ref]: missing.md')).toHaveLength(1)
  })

  test('to files, anchors and the web pass, and so does code', () => {
    expect(linkViolations('[a](types.ts) [b](types.ts#x) [c](#here) [d](https://example.org/x.md)')).toEqual([])
    expect(linkViolations('`[x](gone.md)`\n```\n[y](gone.md)\n```')).toEqual([])
  })
})
