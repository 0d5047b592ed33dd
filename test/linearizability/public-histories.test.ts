// The checker against histories whose answer others have established: 102 runs of Jepsen against etcd, 6 of a string store.
import { describe, expect, test } from 'vitest'
import { checkHistory } from './checker.ts'
import { registerModel } from './models/register.ts'
import { stringStoreModel } from './models/string-store.ts'
import { holdsHistories, labelledHistories, readRegisterHistory, readStringStoreHistory } from './public-histories.ts'
import type { HistoryFile } from './public-histories.ts'

const folder = process.env['QUORATE_HISTORIES']
const isAbsent = !holdsHistories(folder)
const files = isAbsent ? [] : labelledHistories(folder)
const expected = ({ isLinearizable }: HistoryFile): string => (isLinearizable ? 'linearizable' : 'not-linearizable')

const WHERE =
  'needs QUORATE_HISTORIES=<folder with etcd/, kv/ and labels.json> (test_data of github.com/anishathalye/porcupine)'

describe('the public histories', () => {
  test.skipIf(isAbsent)(`are all there; ${WHERE}`, () => {
    expect(files).toHaveLength(108)
    expect(files.filter(({ isLinearizable }) => isLinearizable)).toHaveLength(26)
  })

  test.each(files.filter(({ name }) => name.endsWith('.log')))('$name: a register, $isLinearizable', (file) => {
    expect(checkHistory(registerModel, readRegisterHistory(file.path)).verdict).toBe(expected(file))
  })

  test.each(files.filter(({ name }) => name.endsWith('.txt')))('$name: a store of strings, $isLinearizable', (file) => {
    expect(checkHistory(stringStoreModel, readStringStoreHistory(file.path)).verdict).toBe(expected(file))
  })
})
