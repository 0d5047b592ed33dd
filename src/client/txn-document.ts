// A transaction in the JSON of the HTTP interface: for programs, such as the command line, that have it in that form.
import { expectStatus, jsonObject } from './answers.ts'
import type { JsonObject } from './json.ts'
import type { Operation } from './operations.ts'

export const txnDocumentOperation = (document: object): Operation<JsonObject> => ({
  name: 'txn',
  kind: 'write',
  method: 'POST',
  path: '/v1/txn',
  query: [],
  headers: { 'content-type': 'application/json' },
  body: () => Buffer.from(JSON.stringify(document)),
  takesTimeout: true,
  parse: (response) => {
    expectStatus(response, 200)
    return jsonObject(response)
  },
})
