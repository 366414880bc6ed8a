// N creates at once from one process through the JS SDK; the same arguments and document as burst.py.
import { parseArgs } from 'node:util'
import { Sandbox } from 'e2b'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { retries: { type: 'string' }, timeout: { type: 'string' }, kill: { type: 'boolean' } },
})

async function one(number) {
  try {
    const sandbox = await Sandbox.create('base', {
      timeoutMs: 600_000,
      metadata: { number: String(number) },
      ...(values.retries === undefined ? {} : { retries: Number(values.retries) }),
      ...(values.timeout === undefined ? {} : { requestTimeoutMs: Number(values.timeout) * 1000 }),
    })
    if (values.kill) await sandbox.kill()
    return ['ok', sandbox.sandboxId]
  } catch (why) {
    return [why.constructor.name, '']
  }
}

const results = await Promise.all(Array.from({ length: Number(positionals[0]) }, (_, number) => one(number)))
const counts = {}
for (const [result] of results) counts[result] = (counts[result] ?? 0) + 1
process.stdout.write(
  JSON.stringify({
    results: results.map(([result]) => result),
    counts,
    ids: new Set(results.map(([, id]) => id).filter(Boolean)).size,
  }) + '\n'
)
process.exit(0)
