// Quorum arithmetic against a definition too naive to be wrong: every configuration of up to five voters a half, every vote.
import { describe, expect, test } from 'vitest'
import { hasQuorum, majority, memberIds, quorumIndex, voteResult } from '../../src/raft/quorum.ts'
import type { ConfState } from '../../src/raft/index.ts'

const IDS = ['a', 'b', 'c', 'd', 'e']
const subsets = (ids: readonly string[]): string[][] =>
  Array.from({ length: 2 ** ids.length }, (_, code) => ids.filter((_, at) => Math.floor(code / 2 ** at) % 2 === 1))
const conf = (voters: string[], votersOutgoing: string[]): ConfState => ({
  voters,
  votersOutgoing,
  learners: ['z'],
  learnersNext: [],
  autoLeave: false,
})
/** All configurations: simple ones, and joint ones of every pair of halves. */
const configurations = subsets(IDS.slice(0, 4)).flatMap((voters) =>
  subsets(IDS.slice(1)).map((outgoing) => conf(voters, outgoing)),
)
const halves = ({ voters, votersOutgoing }: ConfState): (readonly string[])[] =>
  votersOutgoing.length === 0 ? [voters] : [voters, votersOutgoing]
const isMajority = (voters: readonly string[], chosen: readonly string[]): boolean =>
  voters.filter((id) => chosen.includes(id)).length * 2 > voters.length

describe('quorum (§3.3, §4.3)', () => {
  test('E6: a majority of n is n/2 rounded down, plus one', () => {
    expect([1, 2, 3, 4, 5, 6, 7].map(majority)).toEqual([1, 2, 2, 3, 3, 4, 4])
  })

  test('E6: a quorum is a majority of each half', () => {
    for (const state of configurations) {
      for (const chosen of subsets(IDS)) {
        const expected = halves(state).every((half) => isMajority(half, chosen))
        expect(hasQuorum(state, (id) => chosen.includes(id))).toBe(expected)
      }
    }
  })

  test('E6: the quorum index is the highest that a majority of each half has reached', () => {
    for (const state of configurations) {
      for (let code = 0; code < 3 ** 5; code++) {
        const index = (id: string): number => Math.floor(code / 3 ** IDS.indexOf(id)) % 3
        const naive = [2, 1, 0].find((level) =>
          halves(state).every((half) =>
            isMajority(
              half,
              IDS.filter((id) => index(id) >= level),
            ),
          ),
        )
        if (quorumIndex(state, index) !== (naive ?? 0)) expect.fail(JSON.stringify({ state, code }))
      }
    }
  })

  test('E6: an election is won, lost or open as the votes still out can decide', () => {
    for (const state of configurations) {
      for (let code = 0; code < 3 ** 5; code++) {
        const kind = (id: string): number => Math.floor(code / 3 ** IDS.indexOf(id)) % 3
        const granted = IDS.filter((id) => kind(id) === 1)
        const possible = IDS.filter((id) => kind(id) !== 2)
        const votes = new Map(IDS.filter((id) => kind(id) !== 0).map((id) => [id, kind(id) === 1]))
        const isWon = halves(state).every((half) => isMajority(half, granted))
        const isOpen = halves(state).every((half) => isMajority(half, possible))
        const result = voteResult(state, votes)
        if (result !== (isWon ? 'won' : isOpen ? 'pending' : 'lost'))
          expect.fail(JSON.stringify({ state, code, result }))
      }
    }
  })

  test('M10: learners and strangers never count', () => {
    const state = conf(['a', 'b', 'c'], [])
    expect(quorumIndex(state, (id) => (id === 'z' || id === 'a' ? 9 : 0))).toBe(0)
    expect(
      voteResult(
        state,
        new Map([
          ['z', true],
          ['y', true],
          ['a', true],
        ]),
      ),
    ).toBe('pending')
    expect(memberIds(conf(['c', 'a'], ['b', 'c']))).toEqual(['a', 'b', 'c', 'z'])
  })
})
