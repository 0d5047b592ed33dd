// Words that code may not use: sources of nondeterminism below storage, concurrency in the state machines, and loose ends.
import { lineAt } from './source.ts'
import type { SourceFile, Violation } from './source.ts'

interface Ban {
  readonly folders: readonly string[]
  readonly pattern: RegExp
  readonly reason: string
}

/** A whole identifier that is neither a member of something else nor the name of a property. */
const names = (...words: string[]): RegExp =>
  new RegExp(`(?<![.\\w$#])(?:${words.join('|')})\\b(?!(?<=[{,;]\\s*\\w+)\\??:)`, 'g')

const PURE = ['src/lib/', 'src/api/', 'src/raft/', 'src/kv/', 'src/node/']
const STATE_MACHINES = ['src/raft/', 'src/kv/']

export const BANS: readonly Ban[] = [
  { folders: PURE, pattern: names('Date', 'performance'), reason: 'time comes from the clock port or the batch' },
  { folders: PURE, pattern: /(?<![\w$])Math\.random\b/g, reason: 'chance comes from an injected Prng' },
  { folders: PURE, pattern: names('crypto'), reason: 'chance comes from an injected Prng' },
  {
    folders: PURE,
    pattern: names('setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'),
    reason: 'timers come from the clock port',
  },
  { folders: PURE, pattern: names('process', 'console', 'globalThis'), reason: 'the environment stays at the edges' },
  { folders: PURE, pattern: names('Intl'), reason: 'the locale differs between machines' },
  { folders: PURE, pattern: /\.(?:localeCompare|toLocale\w+)\b/g, reason: 'the locale differs between machines' },
  { folders: STATE_MACHINES, pattern: names('async', 'await', 'Promise'), reason: 'the core is synchronous' },
  { folders: STATE_MACHINES, pattern: names('any', 'enum'), reason: 'say which type' },
]

export function checkBannedWords(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) =>
    BANS.filter(({ folders }) => folders.some((folder) => file.path.startsWith(folder))).flatMap(
      ({ pattern, reason }) =>
        [...file.code.matchAll(pattern)].map((match) => ({
          path: file.path,
          line: lineAt(file.text, match.index),
          rule: 'banned word',
          detail: `${match[0]} (${reason})`,
        })),
    ),
  )
}

/** Spelled so that this file keeps its own rule. */
const LOOSE_END = /\b(?:T[O]DO|F[I]XME)\b/g

/** In comments and pages too: decide, handle it, or assert with a reason. */
export function checkLooseEnds(files: readonly Pick<SourceFile, 'path' | 'text'>[]): Violation[] {
  return files.flatMap(({ path, text }) =>
    [...text.matchAll(LOOSE_END)].map((match) => ({
      path,
      line: lineAt(text, match.index),
      rule: 'loose end',
      detail: match[0],
    })),
  )
}

/** A test alone is left over from debugging; one left out needs a comment, on its line or the one before, that says why. */
export function checkLeftOutTests(files: readonly SourceFile[]): Violation[] {
  return files.flatMap(({ path, text, code }) => {
    const lines = text.split('\n')
    return [...code.matchAll(/\b(?:test|it|describe|suite)\b(?:\.\w+)*\.(only|skip|todo|fails)\b/g)].flatMap(
      (match) => {
        const line = lineAt(text, match.index)
        const hasReason = `${lines[line - 2] ?? ''}\n${lines[line - 1]}`.includes('//')
        if (match[1] !== 'only' && hasReason) return []
        return [{ path, line, rule: 'left-out test', detail: `.${match[1]} without a reason` }]
      },
    )
  })
}
