// Reads the labelled histories that Porcupine publishes: Jepsen's log of an etcd register, and a store of strings.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HistoryRecorder } from './history.ts'
import type { Operation, OperationId } from './history.ts'
import type { RegisterInput, RegisterOutput } from './models/register.ts'
import type { StringStoreInput, StringStoreOutput } from './models/string-store.ts'

type RegisterHistory = readonly Operation<RegisterInput, RegisterOutput>[]
type StringStoreHistory = readonly Operation<StringStoreInput, StringStoreOutput>[]

export interface HistoryFile {
  /** The name in `labels.json`. */
  readonly name: string
  readonly path: string
  readonly isLinearizable: boolean
}

/** The labelled files of the folder, sorted by name. */
export function labelledHistories(folder: string): readonly HistoryFile[] {
  const labels = JSON.parse(readFileSync(join(folder, 'labels.json'), 'utf8')) as Record<string, boolean>
  const paths = ['etcd', 'kv'].flatMap((kind) => readdirSync(join(folder, kind)).map((file) => ({ kind, file })))
  return paths
    .flatMap(({ kind, file }) => {
      // The registers are labelled by their bare names.
      const name = [file, `${kind}/${file}`].find((candidate) => candidate in labels)
      return name === undefined ? [] : [{ name, path: join(folder, kind, file), isLinearizable: labels[name] === true }]
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

export const holdsHistories = (folder: string | undefined): folder is string =>
  folder !== undefined && existsSync(join(folder, 'labels.json'))

const REGISTER_EVENT = /jepsen\.util - (\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.*)$/

/** A failed `cas` is an answer; a read that failed or timed out says nothing; `:info` is an unknown outcome. */
export function readRegisterHistory(path: string): RegisterHistory {
  const recorder = new HistoryRecorder<RegisterInput, RegisterOutput>()
  const open = new Map<string, OperationId>()
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const event = REGISTER_EVENT.exec(line)
    if (event === null) continue
    const [, client = '', type, op = '', argument = ''] = event
    if (type === 'invoke') {
      open.set(client, recorder.invoke(client, registerInput(op, argument)))
      continue
    }
    const id = open.get(client)
    if (id === undefined) throw new Error(`${path}: a completion without an invocation: ${line}`)
    open.delete(client)
    if (type === 'info' || (type === 'fail' && op !== 'cas')) recorder.giveUp(id)
    else recorder.complete(id, registerOutput(op, argument, type === 'ok'))
  }
  return recorder.operations()
}

function registerInput(op: string, argument: string): RegisterInput {
  const [first = 0, second = 0] = numbersIn(argument)
  if (op === 'write') return { op: 'write', value: first }
  return op === 'cas' ? { op: 'cas', from: first, to: second } : { op: 'read' }
}

function registerOutput(op: string, argument: string, isOk: boolean): RegisterOutput {
  if (op === 'write') return { kind: 'written' }
  return op === 'cas' ? { kind: 'compared', isSet: isOk } : { kind: 'read', value: numbersIn(argument)[0] ?? null }
}

const numbersIn = (text: string): number[] => (text.match(/\d+/g) ?? []).map(Number)

const STORE_EVENT = /:process (\d+), :type :(invoke|ok), :f :(get|put|append), :key "([^"]*)", :value (?:nil|"([^"]*)")/

export function readStringStoreHistory(path: string): StringStoreHistory {
  const recorder = new HistoryRecorder<StringStoreInput, StringStoreOutput>()
  const open = new Map<string, OperationId>()
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line === '') continue
    const [, client = '', type, op, key = '', value = ''] = STORE_EVENT.exec(line) ?? []
    if (type === 'invoke') {
      const input: StringStoreInput = op === 'put' || op === 'append' ? { op, key, value } : { op: 'get', key }
      open.set(client, recorder.invoke(client, input))
      continue
    }
    const id = open.get(client)
    if (id === undefined) throw new Error(`${path}: neither an invocation nor the completion of one: ${line}`)
    open.delete(client)
    recorder.complete(id, op === 'get' ? value : null)
  }
  return recorder.operations()
}
