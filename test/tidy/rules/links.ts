// Links between pages and files: each relative one leads to something that exists.
import { posix } from 'node:path'
import { lineAt } from './source.ts'
import type { Violation } from './source.ts'

export interface Page {
  readonly path: string
  readonly text: string
}

/** `exists` answers for a path from the project's root. */
export function checkLinks(pages: readonly Page[], exists: (path: string) => boolean): Violation[] {
  return pages.flatMap(({ path, text }) => {
    const prose = withoutCode(text)
    return [...prose.matchAll(/\]\(<?([^()\s>]+)>?(?:\s+"[^"]*")?\)|^\[[^\]]+\]:\s*(\S+)/gm)].flatMap((match) => {
      const link = match[1] ?? match[2]!
      if (/^(?:[a-z][a-z+.-]*:|#|\/\/)/i.test(link)) return []
      const target = posix.normalize(posix.join(posix.dirname(path), decodeURI(link.replace(/[#?].*$/, ''))))
      if (!target.startsWith('..') && exists(target)) return []
      return [{ path, line: lineAt(text, match.index), rule: 'broken link', detail: link }]
    })
  })
}

/** Code blocks and spans, blanked: links in there are examples. */
function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```|`[^`\n]*`/gm, (code) => code.replaceAll(/[^\n]/g, ' '))
}
