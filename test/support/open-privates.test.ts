// The transform that opens private fields changes them and nothing else.
import { expect, test } from 'vitest'
import { openPrivates } from './open-privates.ts'

test('private names become ordinary ones, in the folders named and nowhere else', () => {
  const { transform } = openPrivates('/raft/') as {
    transform: (code: string, id: string) => { code: string } | undefined
  }
  const code = 'class A { #a = 1; get a() { return this.#a } } // see `#a`, and nobody#else'
  expect(transform(code, '/src/raft/a.ts')?.code).toBe(
    'class A { $a = 1; get a() { return this.$a } } // see `#a`, and nobody#else',
  )
  expect(transform(code, '/src/kv/a.ts')).toBeUndefined()
})
