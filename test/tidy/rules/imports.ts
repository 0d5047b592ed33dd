// Who imports whom, and the table of who may. The table is the architecture; a new line in it is a decision, not a fix.
import { posix } from 'node:path'
import { lineAt } from './source.ts'
import type { SourceFile, Violation } from './source.ts'

interface Allowed {
  /** Folders or single files below src. */
  readonly inside: readonly string[]
  /** Files below src whose types alone may be imported. */
  readonly types?: readonly string[]
  /** From Node or npm. `@scope/*` stands for all packages of a scope. */
  readonly outside: readonly string[]
}

/** For the composition root, the only one that may read the release from package.json. */
const EVERYTHING: Allowed = { inside: ['*'], outside: ['*'] }

/** Data without behaviour, which the adapters share with the core. */
const RAFT_DATA = ['raft/types.ts', 'raft/messages.ts']

export const IMPORT_TABLE: Readonly<Record<string, Allowed>> = {
  lib: { inside: [], outside: ['node:zlib'] },
  api: { inside: ['lib'], outside: ['typebox'] },
  raft: { inside: ['lib'], outside: [] },
  kv: {
    inside: ['lib', 'api/commands.ts', 'api/command-codec.ts', 'api/result-codec.ts', 'api/ranges.ts', 'api/errors.ts'],
    outside: [],
  },
  node: { inside: ['lib', 'raft', 'kv', 'api'], outside: [] },
  storage: {
    inside: ['lib', 'node/ports.ts', ...RAFT_DATA, 'kv/types.ts', 'kv/skip-list.ts', 'api/ranges.ts'],
    types: ['raft/index.ts', 'api/commands.ts'],
    outside: ['level', 'classic-level', 'node:fs', 'node:fs/promises', 'node:path'],
  },
  transport: {
    inside: ['lib', 'node/ports.ts', 'node/limits.ts', ...RAFT_DATA],
    types: ['raft/index.ts'],
    outside: ['msgpackr', 'node:net', 'node:tls', 'node:crypto'],
  },
  http: {
    inside: ['lib', 'api'],
    types: ['node/facade.ts'],
    outside: ['fastify', '@fastify/*', 'typebox', 'node:http', 'node:net', 'node:stream'],
  },
  client: { inside: ['lib', 'api'], outside: ['undici'] },
  observability: { inside: ['lib', 'node/ports.ts'], outside: ['pino', 'pino-pretty', 'prom-client', 'node:stream'] },
  config: {
    inside: ['lib', 'node/ports.ts'],
    outside: ['ajv', 'typebox', 'node:fs', 'node:net', 'node:path', 'node:crypto'],
  },
  ui: { inside: [], outside: [] },
  cli: EVERYTHING,
  /** Files directly in src: the composition root and the public surface. */
  '': EVERYTHING,
}

export interface Import {
  readonly specifier: string
  readonly line: number
  readonly isTypeOnly: boolean
  /** The file that a relative specifier means, from the project's root. */
  readonly target: string | undefined
}

/** Static and dynamic imports, re-exports, `require`, and files named by `new URL('…', import.meta.url)`. */
export function importsOf({ path, text, code }: SourceFile): Import[] {
  const imports: Import[] = []
  for (const match of code.matchAll(/\b(?:from|import|(?:import|require|new URL)\s*\()\s*(?=['"])/g)) {
    const start = match.index + match[0].length + 1
    const specifier = text.slice(start, code.indexOf(code[start - 1]!, start))
    const statement = code.slice(0, match.index).match(/\b(?:import|export)\b[^'"]*$/)?.[0] ?? ''
    imports.push({
      specifier,
      line: lineAt(text, match.index),
      isTypeOnly: match[0].startsWith('from') && /^(?:import|export)\s+type\b/.test(statement),
      target: specifier.startsWith('.') ? resolve(path, specifier) : undefined,
    })
  }
  return imports
}

/** Compiled names, as the CommonJS shim uses them, stand for their sources. */
function resolve(path: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(path), specifier)).replace(/\.(c|m)?js$/, '.$1ts')
}

export function checkImports(files: readonly SourceFile[]): Violation[] {
  return files.filter(({ path }) => path.startsWith('src/')).flatMap(checkFile)
}

function checkFile(file: SourceFile): Violation[] {
  const folder = folderOf(file.path)
  const allowed = IMPORT_TABLE[folder]
  if (allowed === undefined)
    return [{ path: file.path, line: 1, rule: 'imports', detail: `the folder ${folder} is not in the table` }]
  return importsOf(file).flatMap((found) => {
    const detail = complaint(file, folder, allowed, found)
    return detail === undefined ? [] : [{ path: file.path, line: found.line, rule: 'imports', detail }]
  })
}

function complaint(file: SourceFile, folder: string, allowed: Allowed, found: Import): string | undefined {
  const { specifier, target, isTypeOnly } = found
  const where = folder === '' ? 'src' : folder
  if (target === undefined)
    return matchesOutside(allowed.outside, specifier) ? undefined : `${where} may not import ${specifier}`
  if (target === 'package.json' && allowed === EVERYTHING) return undefined
  if (!target.startsWith('src/')) return `src may not import ${target}`
  if (file.path.endsWith('.ts') && !/\.c?ts$/.test(specifier)) return `${specifier} lacks its .ts extension`
  if (folderOf(target) === folder) return undefined
  const inside = target.slice('src/'.length)
  if (matchesInside(allowed.inside, inside)) return undefined
  if (!allowed.types?.includes(inside)) return `${where} may not import ${inside}`
  return isTypeOnly ? undefined : `${where} may import only types from ${inside}`
}

/** The first folder below src; '' for files directly in it. */
function folderOf(path: string): string {
  const [, folder, ...rest] = path.split('/')
  return rest.length === 0 ? '' : folder!
}

const matchesInside = (allowed: readonly string[], path: string): boolean =>
  allowed.some((entry) => entry === '*' || path === entry || path.startsWith(`${entry}/`))

const matchesOutside = (allowed: readonly string[], specifier: string): boolean =>
  allowed.some((entry) =>
    entry.endsWith('*')
      ? specifier.startsWith(entry.slice(0, -1))
      : specifier === entry || (!entry.startsWith('node:') && specifier.startsWith(`${entry}/`)),
  )
