// A transform for the exploration of the core: private fields become ordinary ones (`#term` becomes `$term`), so that a state can
// be copied and compared as a whole. Nothing else changes, no field can be forgotten, and src needs no door for tests.
import type { Plugin } from 'vitest/config'

export const openPrivates = (...folders: readonly string[]): Plugin => ({
  name: 'open-privates',
  enforce: 'pre',
  transform(code, id) {
    if (!folders.some((folder) => id.includes(folder))) return undefined
    return { code: code.replaceAll(/(?<![\w{`#])#(?=[a-z]\w*)/gi, '$'), map: null }
  },
})
