import { createReadStream } from 'node:fs'
import { silent } from '../../../src/base/progress.ts'
import { openStore } from './store.ts'

// Loads an archive into the state root of a test, in a process that the test can kill.
const [base, archive] = process.argv.slice(2) as [string, string]
const store = openStore({}, base)
await store.images.load(createReadStream(archive), silent)
store.db[Symbol.dispose]()
