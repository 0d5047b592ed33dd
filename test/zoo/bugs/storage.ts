// Mistakes on disk: the log, the vote, the state database, snapshots.
import type { Bug, Patch } from '../bug.ts'

const wal = (file: string, find: string, replace: string): Patch => ({ file: `src/storage/wal/${file}`, find, replace })
const state = (file: string, find: string, replace: string): Patch => ({
  file: `src/storage/state-db/${file}`,
  find,
  replace,
})

const CRASH = 'test/storage/wal/crash.test.ts'
const CORRUPTION = 'test/storage/wal/corruption.test.ts'
const STATE = 'test/storage/state-db/state-storage.test.ts'
const SNAPSHOT = 'test/storage/state-db/snapshot.test.ts'
const SWEEP = 'test/sweep/sweep.test.ts'

export const STORAGE_BUGS: readonly Bug[] = [
  {
    id: 'E2',
    what: 'term and vote are lost with the segment that held them',
    isStarred: true,
    patches: [
      wal('raft-log.ts', '          await this.#voteFile.write(record.hardState)\n', ''),
      wal(
        'raft-log.ts',
        '      hardState: this.#hardState,\n      marker',
        '      hardState: { term: 0, votedFor: undefined, commitIndex: 0 },\n      marker',
      ),
    ],
    suites: [CRASH, SWEEP],
  },
  {
    id: 'L3',
    what: 'hard state, truncation and entries of one append are separate writes',
    isStarred: true,
    patches: [
      wal('raft-log.ts', 'await this.#write(records)', 'for (const record of records) await this.#write([record])'),
    ],
    suites: [CRASH],
  },
  {
    id: 'D1',
    what: 'the log is written without waiting for the disk',
    isStarred: true,
    patches: [
      wal('segment-files.ts', "{ mode: 'update', isDurable: true }", "{ mode: 'update', isDurable: false }"),
      wal(
        'recovery.ts',
        "const handle = await this.#fileSystem.open(path, { mode: 'update', isDurable: true })\n    this.#handles",
        "const handle = await this.#fileSystem.open(path, { mode: 'update', isDurable: false })\n    this.#handles",
      ),
    ],
    suites: [CRASH, SWEEP],
  },
  {
    id: 'D3',
    what: 'a log that failed to sync goes on',
    isStarred: true,
    patches: [wal('raft-log.ts', 'if (this.#failure !== undefined) return Promise.reject(this.#failure)\n', '')],
    suites: ['test/storage/wal/disk-use.test.ts'],
    beyondSimulation: 'the driver stops at the first failure, and never asks again',
  },
  {
    id: 'D4',
    what: 'the torn end of the last write is taken for a write',
    isStarred: true,
    patches: [
      wal('frame.ts', 'return chainedChecksum(body, chain) === header.bodyChecksum ? body : undefined', 'return body'),
    ],
    suites: [CRASH, SWEEP],
  },
  {
    id: 'D5a',
    what: 'the checksum of frames on disk is not looked at when they are read again',
    isStarred: true,
    patches: [
      wal('frame.ts', 'return chainedChecksum(body, chain) === header.bodyChecksum ? body : undefined', 'return body'),
    ],
    suites: [CORRUPTION],
  },
  {
    id: 'D5b',
    what: 'a damaged frame before intact ones is cut off like a torn end',
    isStarred: true,
    patches: [
      wal(
        'recovery.ts',
        'if (highest > expected) throw damagedWrite',
        'if (highest > expected + 1e9) throw damagedWrite',
      ),
    ],
    suites: [CORRUPTION],
  },
  {
    id: 'D5c',
    what: 'the checksum of stored values is not looked at',
    isStarred: true,
    patches: [
      state(
        'stored-value.ts',
        'const found = crc32(stored.subarray(0, end), crc32(key))',
        'const found = stored.readUInt32LE(end)',
      ),
    ],
    suites: ['test/storage/state-db/corruption.test.ts'],
    beyondSimulation: 'its database never damages a value',
  },
  {
    id: 'D8a',
    what: 'a full disk is ignored by the log',
    isStarred: true,
    patches: [
      wal(
        'raft-log.ts',
        '      this.#recycle()\n    } catch (error) {\n',
        "      this.#recycle()\n    } catch (error) {\n      if (String(error).includes('ENOSPC')) return\n",
      ),
    ],
    suites: ['test/storage/wal/disk-use.test.ts'],
  },
  {
    id: 'A1',
    what: 'the applied index is written apart from the data',
    isStarred: true,
    patches: [
      state(
        'write-behind.ts',
        'await gate.run(() => batch.write())\n',
        `const apart = engine.batch()
    if (generation.meta !== undefined) {
      beginValue(this.#writer.reset())
      writeMeta(this.#writer, generation.meta)
      apart.put(META_KEY.applied, sealValue(this.#writer, META_KEY.applied))
    }
    await gate.run(() => apart.write())
    await gate.run(() => batch.write())
`,
      ),
    ],
    suites: ['test/storage/state-db/state-db.test.ts', SWEEP],
  },
  {
    id: 'S1a',
    what: 'a received state is believed without counting it',
    isStarred: true,
    patches: [
      state('snapshot-receiver.ts', 'if (difference !== undefined) throw', 'if (difference === "") throw'),
      state(
        'snapshot-receiver.ts',
        'if (keys !== stored.meta.liveKeys || !equalHash(live, stored.meta.digest.live)) {',
        'if (keys < 0) {',
      ),
    ],
    suites: [SNAPSHOT],
    narrowedTo: 'do not add up to the digest',
  },
  {
    id: 'S2a',
    what: 'the pointer file is renamed before its content is durable',
    isStarred: true,
    patches: [state('pointer-file.ts', '      await handle.sync()\n', '')],
    suites: [STATE, SWEEP],
  },
  {
    id: 'S2b',
    what: "the pointer file's new name is not made durable",
    isStarred: true,
    patches: [state('pointer-file.ts', '    await this.#fileSystem.syncDirectory(this.#directory)\n', '')],
    suites: [STATE, SWEEP],
  },
  {
    id: 'S6',
    what: 'a streamed state shows changes made after it was pinned',
    patches: [state('snapshot-sender.ts', 'snapshot: this.#pinned })', 'snapshot: undefined })')],
    suites: [SNAPSHOT],
  },
]
