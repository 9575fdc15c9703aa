import { silent } from '../../../src/base/progress.ts'
import { openStore } from './store.ts'

// Pulls an image into the state root of a test, in a process that the test can kill.
const [base, ref] = process.argv.slice(2) as [string, string]
const store = openStore({}, base)
await store.images.pull(ref, { emit: silent })
store.db[Symbol.dispose]()
