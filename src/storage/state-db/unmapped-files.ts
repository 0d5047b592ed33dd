// Has LevelDB read its files instead of mapping them into memory.
//
// LevelDB maps the first thousand tables that a process has open and reads all others with `pread`; no option says otherwise. A
// mapped table counts as memory of the process, page by page, as it is looked at, and costs the kernel more to open and to close
// than to read: so few may be open, and most reads open one (decisions/unmapped-files.md). Hence the thousand are used up, before
// any other, by a database of a thousand tables of nothing, which stays open. Its files are gone as soon as they are mapped.
//
// Formats: LevelDB's doc/table_format.md and doc/log_format.md; the tags of a MANIFEST are in its db/version_edit.cc.
import { linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { Level } from 'level'
import { ByteWriter } from '../../lib/bytes.ts'
import { FileSystemError } from '../errors.ts'

/** How many LevelDB maps (`MaxMmaps` in its util/env_posix.cc). */
const MAPS = 1000
/** Twice as many: LevelDB divides the room for open files among sixteen parts, which files do not fill alike. */
const OPEN_FILES = 2 * MAPS
const MANIFEST = 'MANIFEST-000001'
const TABLE_NUMBER_FIRST = 2
/** Tables of the last level are not merged with others. */
const LEVEL_LAST = 6

let held: Promise<unknown> | undefined

/**
 * From here on LevelDB maps no file of any database of this process. `directory` is made and removed; it must be on a file
 * system with hard links.
 * @throws FileSystemError as long as LevelDB does map files.
 */
export async function keepFilesUnmapped(directory: string): Promise<void> {
  held ??= openEmptyTables(directory)
  try {
    await held
  } catch (error) {
    held = undefined
    throw new FileSystemError((error as NodeJS.ErrnoException).code ?? 'EIO', 'use', directory, error)
  }
}

async function openEmptyTables(directory: string): Promise<unknown> {
  rmSync(directory, { recursive: true, force: true })
  try {
    mkdirSync(directory)
    const tables = Array.from({ length: MAPS }, (_, nth) => `${directory}/${tableName(TABLE_NUMBER_FIRST + nth)}`)
    writeFileSync(tables[0]!, emptyTable())
    // Links: to make a file of its own for each would take twenty times as long.
    for (const table of tables.slice(1)) linkSync(tables[0]!, table)
    writeFileSync(`${directory}/${MANIFEST}`, logRecord(manifest()))
    writeFileSync(`${directory}/CURRENT`, `${MANIFEST}\n`)
    const db = new Level<Buffer, Buffer>(directory, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
    const options = { createIfMissing: false, maxOpenFiles: OPEN_FILES }
    await db.open(options)
    await db.getMany(Array.from({ length: MAPS }, (_, nth) => keyOf(nth)))
    return db
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const tableName = (number: number): string => `${String(number).padStart(6, '0')}.ldb`

/** The one key that the nth table could hold: a look-up has to open it to find that it does not. */
const keyOf = (nth: number): Buffer =>
  new ByteWriter(2)
    .uint8(nth >> 8)
    .uint8(nth & 0xff)
    .finish()

/** One block without entries, which is both index and index of what belongs to the table, and the footer. */
function emptyTable(): Buffer {
  const block = new ByteWriter().uint32(0).uint32(1).finish()
  const handle = Buffer.of(0, block.length)
  const trailer = new ByteWriter()
    .uint8(0)
    .uint32(masked(crc32c(Buffer.concat([block, Buffer.of(0)]))))
    .finish()
  const handles = Buffer.concat([handle, handle], 40)
  const magic = Buffer.from('57fb808b247547db', 'hex')
  return Buffer.concat([block, trailer, handles, magic])
}

/** A version of the database: nothing but tables of the last level, with a key's room each. */
function manifest(): Buffer {
  const comparator = 'leveldb.BytewiseComparator'
  const edit = new ByteWriter()
  edit.varint(1).varint(comparator.length).latin1(comparator)
  edit.varint(2).varint(0)
  edit.varint(3).varint(TABLE_NUMBER_FIRST + MAPS)
  edit.varint(4).varint(0)
  const size = emptyTable().length
  for (let nth = 0; nth < MAPS; nth++) {
    const internalKey = new ByteWriter().bytes(keyOf(nth)).uint64(1).finish()
    edit
      .varint(7)
      .varint(LEVEL_LAST)
      .varint(TABLE_NUMBER_FIRST + nth)
      .varint(size)
    for (let bound = 0; bound < 2; bound++) edit.varint(internalKey.length).bytes(internalKey)
  }
  return edit.finish()
}

/** The only record of a log, within its first block of 32 KiB. */
function logRecord(body: Buffer): Buffer {
  const type = Buffer.of(1)
  const checksum = masked(crc32c(Buffer.concat([type, body])))
  const header = new ByteWriter()
    .uint32(checksum)
    .uint8(body.length & 0xff)
    .uint8(body.length >> 8)
    .bytes(type)
  return Buffer.concat([header.finish(), body])
}

/** The checksum of LevelDB's files (RFC 3720, appendix B.4). */
function crc32c(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}

/** As LevelDB stores checksums. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
