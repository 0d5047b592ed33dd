// Plants one bug into the sources while they are loaded: QUORATE_ZOO=id. There are no switches in src; a patch whose anchor is gone
// fails loudly, so that a bug cannot become extinct unnoticed.
import { env } from 'node:process'
import type { Plugin } from 'vitest/config'
import { BUGS } from './bugs.ts'
import type { Patch } from './bug.ts'

export function applyPatch(text: string, { file, find, replace }: Patch): string {
  const parts = text.split(find)
  if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times, not once: ${find}`)
  return parts.join(replace)
}

/** A plugin that does nothing unless a bug is asked for. */
export function plantBug(id: string | undefined = env['QUORATE_ZOO']): Plugin {
  const bug = BUGS.find((candidate) => candidate.id === id)
  if (id !== undefined && id !== '' && bug === undefined) throw new Error(`there is no bug ${id} in the zoo`)
  return {
    name: 'plant-bug',
    enforce: 'pre',
    transform(code, path) {
      const patches = bug?.patches.filter(({ file }) => path.split('?')[0]!.endsWith(`/${file}`)) ?? []
      if (patches.length === 0) return undefined
      return { code: patches.reduce(applyPatch, code), map: null }
    },
  }
}
